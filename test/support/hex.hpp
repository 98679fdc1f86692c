// SPDX-License-Identifier: MIT
#pragma once
// Bytes written in a test as people read them.

#include "base/bytes.hpp"

#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace support {

/// "00 ff" or "00ff": hexadecimal digits, in pairs; spaces are for the eye.
inline sshtpm::Bytes unhex(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    sshtpm::Bytes out;
    bool high = true;
    for (const char c : text) {
        if (c == ' ')
            continue;
        const auto value = digits.find(c);
        if (value == std::string_view::npos)
            throw std::invalid_argument("not a hexadecimal digit in a test");
        if (high)
            out.push_back(static_cast<std::uint8_t>(value << 4U));
        else
            out.back() = static_cast<std::uint8_t>(out.back() | value);
        high = !high;
    }
    if (!high)
        throw std::invalid_argument("an odd number of hexadecimal digits in a test");
    return out;
}

} // namespace support
