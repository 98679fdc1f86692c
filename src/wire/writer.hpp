// SPDX-License-Identifier: MIT
#pragma once
// Writes the data types of RFC 4251 section 5.

#include "base/bytes.hpp"

#include <cstdint>

namespace sshtpm::wire {

class Writer {
  public:
    Writer& byte(std::uint8_t value) { return raw({&value, 1}); }
    Writer& boolean(bool value) { return byte(value ? 1 : 0); }
    Writer& uint32(std::uint32_t value) { return big_endian(value, 4); }
    Writer& uint64(std::uint64_t value) { return big_endian(value, 8); }
    /// @throws Error(malformed) for more than 2^32-1 bytes.
    Writer& string(ByteView value);
    Writer& text(std::string_view value) { return string(bytes_of(value)); }
    /// A big-endian unsigned integer, with or without leading zero bytes, as the shortest mpint.
    Writer& mpint(ByteView value);
    Writer& raw(ByteView value); ///< without a length in front

    const Bytes& bytes() const& noexcept { return bytes_; }
    Bytes bytes() && noexcept { return std::move(bytes_); }

  private:
    Writer& big_endian(std::uint64_t value, std::size_t width);

    Bytes bytes_;
};

} // namespace sshtpm::wire
