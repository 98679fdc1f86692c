#pragma once
// The log: lines on stderr, each "PROGRAM: text". A Secret does not compile into it.

#include "base/error.hpp"
#include "base/secret.hpp"

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace sshtpm::log {

enum class Level { nothing, error, info, debug };

/// Set once, before the second thread starts. Lines above the level are dropped.
void configure(std::string program, Level level);
Level level() noexcept;
const std::string& program() noexcept;

/// Writes one line; callers pass text from outside through `printable` first.
void write(Level level, std::string_view line);

template <class T>
concept Part = !std::same_as<std::remove_cvref_t<T>, Secret> &&
               (std::convertible_to<T, std::string_view> || std::integral<std::remove_cvref_t<T>>);

inline void add_part(std::string& line, std::string_view text) {
    line += text;
}
template <std::integral T>
void add_part(std::string& line, T number) {
    line += std::to_string(number);
}

template <Part... Parts>
void line(Level at, const Parts&... parts) {
    if (at > level())
        return;
    std::string text;
    (add_part(text, parts), ...);
    write(at, text);
}

template <Part... Parts>
void error(const Parts&... parts) {
    line(Level::error, parts...);
}
template <Part... Parts>
void info(const Parts&... parts) {
    line(Level::info, parts...);
}
template <Part... Parts>
void debug(const Parts&... parts) {
    line(Level::debug, parts...);
}

/// An error, and its hint in a line of its own. @param consequence such as "; skipped"
void report(const Error& failure, std::string_view consequence = {});

} // namespace sshtpm::log
