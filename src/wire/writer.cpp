#include "wire/writer.hpp"

#include "base/error.hpp"

#include <limits>

namespace sshtpm::wire {

Writer& Writer::byte(std::uint8_t value) {
    bytes_.push_back(value);
    return *this;
}

Writer& Writer::boolean(bool value) {
    return byte(value ? 1 : 0);
}

Writer& Writer::uint32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        byte(static_cast<std::uint8_t>(value >> shift));
    return *this;
}

Writer& Writer::uint64(std::uint64_t value) {
    return uint32(static_cast<std::uint32_t>(value >> 32U)).uint32(static_cast<std::uint32_t>(value));
}

Writer& Writer::string(ByteView value) {
    if (value.size() > std::numeric_limits<std::uint32_t>::max())
        malformed("a string longer than its length field can say");
    return uint32(static_cast<std::uint32_t>(value.size())).raw(value);
}

Writer& Writer::text(std::string_view value) {
    return string(bytes_of(value));
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
