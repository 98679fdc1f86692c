// SPDX-License-Identifier: MIT
#include "wire/writer.hpp"

#include "base/error.hpp"

#include <cstdint>
#include <limits>

namespace sshtpm::wire {

Writer& Writer::big_endian(std::uint64_t value, std::size_t width) {
    for (auto shift = width * 8; shift > 0;) {
        shift -= 8;
        bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
    return *this;
}

Writer& Writer::string(ByteView value) {
    if (value.size() > std::numeric_limits<std::uint32_t>::max())
        malformed("a string longer than its length field can say");
    return uint32(static_cast<std::uint32_t>(value.size())).raw(value);
}

Writer& Writer::mpint(ByteView value) {
    const auto digits = without_leading_zeros(value);
    const bool sign_byte = !digits.empty() && (digits.front() & 0x80U) != 0;
    uint32(static_cast<std::uint32_t>(digits.size() + (sign_byte ? 1 : 0)));
    if (sign_byte)
        byte(0);
    return raw(digits);
}

Writer& Writer::raw(ByteView value) {
    append(bytes_, value);
    return *this;
}

} // namespace sshtpm::wire
