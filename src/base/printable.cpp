// SPDX-License-Identifier: MIT
#include "base/printable.hpp"

#include <array>
#include <cstdint>

namespace sshtpm {

namespace {

struct CodePoint {
    std::uint32_t value = 0;
    std::size_t length = 0; ///< in bytes; 0 if they are not well-formed UTF-8
};

/// @param text not empty
CodePoint decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const auto lead = byte(0);
    if (lead < 0x80)
        return {lead, 1};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length)
        return {};
    std::uint32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U)
            return {};
        value = value << 6U | (byte(i) & 0x3FU);
    }
    constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return {};
    return {value, length};
}

struct Range {
    std::uint32_t first, last;
};

/// Control characters, and characters that reorder or hide text (most of Unicode's categories Cf, Zl and Zp).
constexpr std::array<Range, 14> unprintable{{
    {0x0000, 0x001F},
    {0x007F, 0x009F},
    {0x00AD, 0x00AD},
    {0x061C, 0x061C},
    {0x115F, 0x1160},
    {0x180E, 0x180E},
    {0x200B, 0x200F},
    {0x2028, 0x202E},
    {0x2060, 0x206F},
    {0x3164, 0x3164},
    {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF},
    {0xFFF9, 0xFFFB},
    {0xE0000, 0xE0FFF},
}};

bool may_show(const CodePoint& point) {
    if (point.length == 0)
        return false;
    for (const auto& range : unprintable)
        if (point.value >= range.first && point.value <= range.last)
            return false;
    return true;
}

} // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    while (!text.empty()) {
        const auto point = decode_utf8(text);
        const auto length = point.length == 0 ? 1 : point.length;
        const auto shown = may_show(point) ? text.substr(0, length) : std::string_view("?");
        if (out.size() + shown.size() > limit)
            return out + "...";
        out += shown;
        text.remove_prefix(length);
    }
    return out;
}

bool is_printable(std::string_view text) {
    return printable(text, text.size()) == text;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto point = decode_utf8(text);
        if (point.length == 0)
            return false;
        text.remove_prefix(point.length);
    }
    return true;
}

} // namespace sshtpm
