// SPDX-License-Identifier: MIT
// A service manager's variables, a line each: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Whatever they
// are, an address stays in its bounds and names what was asked for, and an interval is above 0.

#include "base/bytes.hpp"
#include "fuzz/target.hpp"
#include "os/systemd.hpp"

#include <algorithm>
#include <cstddef>
#include <unistd.h>

using namespace sshtpm;

namespace {

std::string_view take_line(std::string_view& rest) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    return line;
}

void check_socket(std::string_view text) {
    const auto address = os::parse_notify_socket(text);
    if (!address)
        return;
    constexpr auto header = offsetof(sockaddr_un, sun_path);
    require(address->address.sun_family == AF_UNIX);
    require(address->size > header && address->size <= sizeof address->address);
    const bool abstract = text.front() == '@';
    const std::string_view name(address->address.sun_path, address->size - header);
    require(name.size() == text.size() + (abstract ? 0 : 1));
    require(name.substr(1, text.size() - 1) == text.substr(1));
    require(name.front() == (abstract ? '\0' : '/') && (abstract || name.back() == '\0'));
}

void check_watchdog(std::string_view interval, std::string_view process) {
    const auto for_anyone = os::parse_watchdog(interval, std::nullopt);
    require(!for_anyone || for_anyone->count() > 0);
    const auto for_us = os::parse_watchdog(interval, std::to_string(::getpid()));
    require(for_us == for_anyone);
    const auto for_whom = os::parse_watchdog(interval, std::string(process));
    require(!for_whom || for_whom == for_anyone);
}

} // namespace

FUZZ_TARGET(notify) {
    auto rest = text_of({data, size});
    const auto socket = take_line(rest), interval = take_line(rest), process = take_line(rest);
    check_socket(socket);
    check_watchdog(interval, process);
}
