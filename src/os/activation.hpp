#pragma once
// A listening socket that systemd made before it started this process: sd_listen_fds(3), without libsystemd.

#include "base/unique_fd.hpp"

#include <optional>

namespace sshtpm::os {

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
inline constexpr int first_passed_descriptor = 3;

/// The socket that was passed, now close-on-exec and non-blocking; nothing when LISTEN_FDS is not set.
/// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are gone from the environment afterwards, so this answers once.
/// To be called before the process forks (its pid is checked) and before descriptors are opened or closed.
/// @throws Error(usage) when LISTEN_PID is not this process, LISTEN_FDS is not 1, or the descriptor is not a
/// listening UNIX stream socket.
std::optional<UniqueFd> activated_socket();

} // namespace sshtpm::os
