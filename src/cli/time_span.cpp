// SPDX-License-Identifier: MIT
#include "cli/time_span.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

namespace sshtpm::cli {

namespace {

constexpr std::int64_t most_seconds = std::numeric_limits<std::int32_t>::max();

Error not_a_time(std::string_view text) {
    return {Errc::usage, "\"" + printable(text) + "\" is not a time",
            "a time is a number of seconds, or of s, m, h, d, w, one after another: 600, 10m, 1h30m"};
}

/// @returns 0 for an unknown unit
std::int64_t seconds_in(char unit) {
    switch (unit) {
    case 's':
    case 'S':
        return 1;
    case 'm':
    case 'M':
        return 60;
    case 'h':
    case 'H':
        return 60 * 60;
    case 'd':
    case 'D':
        return 24 * 60 * 60;
    case 'w':
    case 'W':
        return 7 * 24 * 60 * 60;
    default:
        return 0;
    }
}

} // namespace

std::chrono::seconds parse_time_span(std::string_view text) {
    if (text.empty())
        throw not_a_time(text);
    std::int64_t total = 0;
    for (auto rest = text; !rest.empty();) {
        std::uint32_t number = 0; // unsigned: from_chars takes no sign then
        const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
        if (failure != std::errc())
            throw not_a_time(text);
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        const auto unit = rest.empty() ? 1 : seconds_in(rest.front());
        if (unit == 0)
            throw not_a_time(text);
        rest.remove_prefix(rest.empty() ? 0 : 1);
        total += number * unit;
        if (total > most_seconds)
            throw Error(Errc::usage, "\"" + printable(text) + "\" is longer than 68 years");
    }
    return std::chrono::seconds(total);
}

std::string time_span_text(std::chrono::seconds time) {
    const auto in = [&](char unit) { return time.count() / seconds_in(unit); };
    const auto two_digits = [](std::int64_t number) {
        return (number < 10 ? "0" : "") + std::to_string(number);
    };
    const auto weeks = in('w'), days = in('d') % 7;
    const auto hours = two_digits(in('h') % 24), minutes = two_digits(in('m') % 60);
    if (weeks > 0)
        return two_digits(weeks) + "w" + std::to_string(days) + "d" + hours + "h";
    if (days > 0)
        return std::to_string(days) + "d" + hours + "h" + minutes + "m";
    return hours + ":" + minutes + ":" + two_digits(time.count() % 60);
}

} // namespace sshtpm::cli
