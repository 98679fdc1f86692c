// SPDX-License-Identifier: MIT
#pragma once
// The protocols of systemd without libsystemd: socket activation (sd_listen_fds(3)), state (sd_notify(3)) and
// watchdog (sd_watchdog_enabled(3)).

#include "base/unique_fd.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace sshtpm::os {

/// SD_LISTEN_FDS_START: the descriptor of the first socket.
inline constexpr int first_passed_descriptor = 3;

/// The listening socket from systemd, set to close-on-exec and non-blocking. As for sd_listen_fds(3), there
/// is none if LISTEN_PID or LISTEN_FDS is not set, or LISTEN_PID is another process: the variables were
/// inherited. Removes them, LISTEN_FDNAMES and LISTEN_PIDFDID from the environment, so a second call returns
/// nothing. Call it before the process forks, because it checks the pid, and before the process opens or
/// closes descriptors.
/// @throws Error(usage) if LISTEN_PID is not a number above 0, LISTEN_FDS is not 1, or the descriptor is not
///     a listening UNIX stream socket
std::optional<UniqueFd> activated_socket();

/// The address of a datagram socket for sendto(2).
struct NotifyAddress {
    sockaddr_un address{};
    socklen_t size = 0; ///< bytes of `address` in use
};

/// Parses NOTIFY_SOCKET.
/// @param text a path, or "@" and an abstract name (unix(7)), of at most 107 bytes
/// @returns nothing for other texts, such as the VSOCK address of a virtual machine
std::optional<NotifyAddress> parse_notify_socket(std::string_view text);

/// Parses WATCHDOG_USEC.
/// @param interval a decimal number above 0
/// @param process WATCHDOG_PID; without it the interval is for any process
/// @returns nothing for other texts, and for an interval of another process
std::optional<std::chrono::microseconds> parse_watchdog(std::string_view interval,
                                                        const std::optional<std::string>& process);

/// Sends messages to the service manager. A message is dropped if the manager does not accept it.
class Notifier {
  public:
    Notifier() = default;
    /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment, so that no
    /// child takes them for its own.
    static Notifier from_environment();

    void ready(std::string_view status) const noexcept;
    void status(std::string_view status) const noexcept;
    void stopping() const noexcept;
    void feed_watchdog() const noexcept;

    /// False without a service manager.
    explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    /// The longest time between two calls of feed_watchdog; nothing if there is no watchdog.
    std::optional<std::chrono::microseconds> watchdog() const noexcept { return watchdog_; }

  private:
    void send(std::string_view message, int flags) const noexcept;

    NotifyAddress address_;
    UniqueFd socket_;
    std::optional<std::chrono::microseconds> watchdog_;
};

} // namespace sshtpm::os
