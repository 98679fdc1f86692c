#pragma once
// Tells systemd the state of this process: sd_notify(3) and sd_watchdog_enabled(3) without libsystemd.

#include "base/unique_fd.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace sshtpm::os {

/// The address of a datagram socket for sendto(2).
struct NotifyAddress {
    sockaddr_un address{};
    socklen_t size = 0; ///< the part of it that is used
};

/// @param text a path, or "@" and an abstract name (unix(7)), of at most 107 bytes
/// @returns nothing for other texts, the VSOCK addresses of virtual machines included
std::optional<NotifyAddress> parse_notify_socket(std::string_view text);

/// @param interval WATCHDOG_USEC, a decimal number above 0
/// @param process WATCHDOG_PID; without it the interval is for any process
/// @returns nothing for other texts, and for an interval of another process
std::optional<std::chrono::microseconds> parse_watchdog(std::string_view interval,
                                                        const std::optional<std::string>& process);

/// Sends messages to the service manager. Messages that it does not take are dropped.
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
