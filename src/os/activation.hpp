#pragma once
// Socket activation by systemd: sd_listen_fds(3) without libsystemd.

#include "base/unique_fd.hpp"

#include <optional>

namespace sshtpm::os {

/// SD_LISTEN_FDS_START: the descriptor of the first socket.
inline constexpr int first_passed_descriptor = 3;

/// The listening socket that systemd made, now close-on-exec and non-blocking; nothing if LISTEN_FDS is not
/// set. Removes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES from the environment, so a second call returns
/// nothing. Call it before the process forks, because its pid is checked, and before it opens or closes
/// descriptors.
/// @throws Error(usage) if LISTEN_PID is not this process, LISTEN_FDS is not 1, or the descriptor is not a
///     listening UNIX stream socket
std::optional<UniqueFd> activated_socket();

} // namespace sshtpm::os
