// SPDX-License-Identifier: MIT
#include "os/systemd.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/environment.hpp"
#include "os/process.hpp"
#include "os/unix_socket.hpp"

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

constexpr const char* activation_hint =
    "LISTEN_PID and LISTEN_FDS are systemd's, for a .socket unit with one ListenStream=; "
    "unset them to start without it";

int option_of(int socket, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

void expect_listening_unix_socket(int socket) {
    if (option_of(socket, SO_DOMAIN) != AF_UNIX || option_of(socket, SO_TYPE) != SOCK_STREAM ||
        option_of(socket, SO_ACCEPTCONN) != 1)
        throw Error(Errc::usage, "descriptor 3 is not a listening UNIX stream socket, but LISTEN_FDS says so",
                    activation_hint);
}

void set_flags(int socket) {
    const int flags = ::fcntl(socket, F_GETFL);
    if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::fcntl(socket, F_SETFD, FD_CLOEXEC) != 0)
        throw Error::from_errno(errno, "the socket from systemd");
}

/// The longest delay of this process by a service manager that hangs.
constexpr timeval send_limit{.tv_sec = 5, .tv_usec = 0};

} // namespace

std::optional<UniqueFd> activated_socket() {
    const auto process = take_variable("LISTEN_PID"), count = take_variable("LISTEN_FDS");
    for (const char* name : {"LISTEN_FDNAMES", "LISTEN_PIDFDID"})
        take_variable(name);
    if (!process || !count)
        return std::nullopt;
    const auto pid = parse_pid(*process);
    if (!pid)
        throw Error(Errc::usage,
                    "LISTEN_PID is \"" + printable(*process, 20) + "\", which is not the id of a process",
                    activation_hint);
    if (*pid != ::getpid())
        return std::nullopt;
    if (*count != "1")
        throw Error(Errc::usage,
                    "LISTEN_FDS is \"" + printable(*count, 20) + "\", and one socket is expected",
                    activation_hint);
    expect_listening_unix_socket(first_passed_descriptor);
    set_flags(first_passed_descriptor);
    return UniqueFd(first_passed_descriptor);
}

std::optional<NotifyAddress> parse_notify_socket(std::string_view text) {
    NotifyAddress out;
    // A path has a NUL at its end; an abstract name has one at its start, in the place of the "@".
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
