// SPDX-License-Identifier: MIT
#pragma once
// The log: lines "PROGRAM: text" on stderr, for the journal with a priority in front. Logging a Secret does
// not compile.

#include "base/error.hpp"

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace sshtpm::log {

enum class Level { nothing, error, warning, info, debug };

/// Call it before the process starts a second thread. Lines above the level are dropped.
void configure(std::string program, Level level);
Level level() noexcept;
const std::string& program() noexcept;

/// The prefix that gives a line on stderr its priority in the journal, such as "<3>" (sd-daemon(3)). Empty if
/// stderr is not the stream to the journal that JOURNAL_STREAM names (systemd.exec(5)).
std::string_view journal_prefix(Level level);

/// Callers pass text from outside through `printable` first.
void write(Level level, std::string_view line);

template <class T>
concept Part = std::convertible_to<T, std::string_view> || std::integral<T>;

template <Part... Parts>
void line(Level at, const Parts&... parts) {
    if (at > level())
        return;
    std::string text;
    const auto add = [&](const auto& part) {
        if constexpr (std::integral<std::remove_cvref_t<decltype(part)>>)
            text += std::to_string(part);
        else
            text += std::string_view(part);
    };
    (add(parts), ...);
    write(at, text);
}

template <Part... Parts>
void error(const Parts&... parts) {
    line(Level::error, parts...);
}
template <Part... Parts>
void warning(const Parts&... parts) {
    line(Level::warning, parts...);
}
template <Part... Parts>
void info(const Parts&... parts) {
    line(Level::info, parts...);
}
template <Part... Parts>
void debug(const Parts&... parts) {
    line(Level::debug, parts...);
}

/// Logs an error, and its hint in a second line, which has the same priority in the journal.
/// @param consequence follows the message, such as "; skipped"
void report(const Error& failure, std::string_view consequence = {});

} // namespace sshtpm::log
