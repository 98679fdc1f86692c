// SPDX-License-Identifier: MIT
#pragma once
// The lines of a text, and the mark that some editors put in front of it.

#include <string_view>

namespace sshtpm {

/// Removes a byte order mark in UTF-8 (RFC 3629 section 6) from the front of the text.
inline void skip_byte_order_mark(std::string_view& text) noexcept {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (text.starts_with(mark))
        text.remove_prefix(mark.size());
}

/// Removes the first line from the text. @returns it without its line end (LF or CRLF).
inline std::string_view take_line(std::string_view& text) noexcept {
    const auto line_feed = text.find('\n');
    auto line = text.substr(0, line_feed);
    text.remove_prefix(line_feed == std::string_view::npos ? text.size() : line_feed + 1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

/// Removes the first item from a list with separators between its items. @returns the item, perhaps empty
inline std::string_view take_item(std::string_view& list, char separator) noexcept {
    const auto end = list.find(separator);
    const auto item = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    return item;
}

/// The rest of the first line that begins with `start`.
/// @returns an empty text if there is no such line
inline std::string_view rest_of_line(std::string_view text, std::string_view start) noexcept {
    while (!text.empty()) {
        const auto line = take_line(text);
        if (line.starts_with(start))
            return line.substr(start.size());
    }
    return {};
}

/// The same, such as of "NAME=", without quotation marks around it.
inline std::string_view value_in(std::string_view text, std::string_view start) noexcept {
    const auto value = rest_of_line(text, start);
    const bool is_quoted = value.size() > 1 && value.front() == '"' && value.back() == '"';
    return is_quoted ? value.substr(1, value.size() - 2) : value;
}

} // namespace sshtpm
