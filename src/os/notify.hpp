#pragma once
// Telling systemd how this process is: sd_notify(3) and sd_watchdog_enabled(3), without libsystemd.

#include "base/unique_fd.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace sshtpm::os {

/// A datagram socket's address as sendto(2) takes it; `size` counts what is used of it.
struct NotifyAddress {
    sockaddr_un address{};
    socklen_t size = 0;
};

/// A path, or "@" and an abstract name (unix(7)); of at most 107 bytes. Nothing for anything else, the VSOCK
/// addresses of virtual machines included: a service manager has no use for those here.
std::optional<NotifyAddress> parse_notify_socket(std::string_view text);

/// WATCHDOG_USEC: a decimal number above 0. Nothing for anything else, or when it is for another process.
/// @param process WATCHDOG_PID; without it the interval is for whoever reads it.
std::optional<std::chrono::microseconds> parse_watchdog(std::string_view interval,
                                                        const std::optional<std::string>& process);

/// The line to the service manager; without one, all that is said to it is dropped. A message that it does
/// not take is dropped too: no agent fails because nobody listens to its health.
class Notifier {
  public:
    /// One that tells nobody anything.
    Notifier() = default;
    /// What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say. They are gone from the environment
    /// afterwards, so this answers once, and no child speaks in this process's name.
    static Notifier from_environment();

    void ready(std::string_view status) const noexcept;
    void status(std::string_view status) const noexcept;
    void stopping() const noexcept;
    void feed_watchdog() const noexcept;

    /// False when nobody listens.
    explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
    /// Within which feed_watchdog has to come again and again; nothing when nobody waits for it.
    std::optional<std::chrono::microseconds> watchdog() const noexcept { return watchdog_; }

  private:
    void send(std::string_view message, int flags) const noexcept;

    NotifyAddress address_;
    UniqueFd socket_;
    std::optional<std::chrono::microseconds> watchdog_;
};

} // namespace sshtpm::os
