#include "os/notify.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/environment.hpp"
#include "os/unix_socket.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <sys/time.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

/// The longest that a service manager that hangs can delay this process.
constexpr timeval send_limit{.tv_sec = 5, .tv_usec = 0};

} // namespace

std::optional<NotifyAddress> parse_notify_socket(std::string_view text) {
    NotifyAddress out;
    // A path needs a NUL at the end; an abstract name has it in front, in the place of the "@".
    if (text.size() < 2 || text.size() >= sizeof out.address.sun_path ||
        (text.front() != '/' && text.front() != '@'))
        return std::nullopt;
    out.address.sun_family = AF_UNIX;
    text.copy(out.address.sun_path, text.size());
    if (text.front() == '@')
        out.address.sun_path[0] = '\0';
    out.size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (text.front() == '/' ? 1 : 0));
    return out;
}

std::optional<std::chrono::microseconds> parse_watchdog(std::string_view interval,
                                                        const std::optional<std::string>& process) {
    std::int64_t number = 0;
    const auto* const end = interval.data() + interval.size();
    const auto [stopped, failure] = std::from_chars(interval.data(), end, number);
    if (failure != std::errc() || stopped != end || number <= 0 ||
        (process && *process != std::to_string(::getpid())))
        return std::nullopt;
    return std::chrono::microseconds(number);
}

Notifier Notifier::from_environment() {
    const auto socket = take_variable("NOTIFY_SOCKET"), interval = take_variable("WATCHDOG_USEC"),
               process = take_variable("WATCHDOG_PID");
    Notifier out;
    if (!socket || socket->empty())
        return out;
    const auto address = parse_notify_socket(*socket);
    if (!address) {
        log::error("NOTIFY_SOCKET is \"", printable(*socket, 120), "\", which is no socket to write to");
        return out;
    }
    out.address_ = *address;
    out.socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ::setsockopt(out.socket_.value(), SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    if (interval)
        out.watchdog_ = parse_watchdog(*interval, process);
    return out;
}

void Notifier::ready(std::string_view status) const noexcept {
    send("READY=1\nSTATUS=" + std::string(status), 0);
}

void Notifier::status(std::string_view status) const noexcept {
    send("STATUS=" + std::string(status), MSG_DONTWAIT);
}

void Notifier::stopping() const noexcept {
    send("STOPPING=1\nSTATUS=Ending", MSG_DONTWAIT);
}

void Notifier::feed_watchdog() const noexcept {
    send("WATCHDOG=1", MSG_DONTWAIT);
}

void Notifier::send(std::string_view message, int flags) const noexcept {
    if (socket_)
        ::sendto(socket_.value(), message.data(), message.size(), flags | MSG_NOSIGNAL,
                 generic(address_.address), address_.size);
}

} // namespace sshtpm::os
