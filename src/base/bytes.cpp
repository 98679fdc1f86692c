// SPDX-License-Identifier: MIT
#include "base/bytes.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstdint>

namespace sshtpm {

ByteView bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view text_of(ByteView bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes copy_of(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}

void append(Bytes& to, ByteView bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

bool equal(ByteView a, ByteView b) noexcept {
    return std::ranges::equal(a, b);
}

std::string hex(ByteView bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        out += digits[byte >> 4U];
        out += digits[byte & 0x0FU];
    }
    return out;
}

std::optional<Bytes> from_hex(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (text.size() % 2 != 0 || text.find_first_not_of(digits) != std::string_view::npos)
        return std::nullopt;
    Bytes bytes;
    for (std::size_t i = 0; i < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(digits.find(text[i]) * 16 + digits.find(text[i + 1])));
    return bytes;
}

ByteView without_leading_zeros(ByteView integer) noexcept {
    while (!integer.empty() && integer.front() == 0)
        integer = integer.subspan(1);
    return integer;
}

Bytes fixed_width(ByteView integer, std::size_t width) {
    const auto digits = without_leading_zeros(integer);
    if (digits.size() > width)
        throw Error(Errc::malformed, "an integer is longer than its field");
    Bytes out(width - digits.size());
    append(out, digits);
    return out;
}

} // namespace sshtpm
