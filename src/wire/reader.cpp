// SPDX-License-Identifier: MIT
#include "wire/reader.hpp"

#include "base/error.hpp"

#include <cstdint>

namespace sshtpm::wire {

ByteView Reader::take(std::size_t count) {
    if (count > rest_.size())
        malformed("a field is longer than the message");
    const auto field = rest_.first(count);
    rest_ = rest_.subspan(count);
    return field;
}

std::uint64_t Reader::big_endian(std::size_t width) {
    std::uint64_t value = 0;
    for (const auto byte : take(width))
        value = value << 8U | byte;
    return value;
}

std::string_view Reader::c_text() {
    const auto value = text();
    if (value.find('\0') != std::string_view::npos)
        malformed("a NUL in a text");
    return value;
}

ByteView Reader::unsigned_mpint() {
    auto digits = string();
    if (digits.empty())
        return digits;
    if ((digits.front() & 0x80U) != 0)
        malformed("a negative mpint");
    if (digits.front() == 0) {
        // RFC 4251 section 5 forbids needless leading zero bytes.
        if (digits.size() == 1 || (digits[1] & 0x80U) == 0)
            malformed("an mpint with needless zero bytes");
        digits = digits.subspan(1);
    }
    return digits;
}

void Reader::expect_end() const {
    if (!rest_.empty())
        malformed("bytes after the end of the message");
}

} // namespace sshtpm::wire
