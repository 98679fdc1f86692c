// SPDX-License-Identifier: MIT
#pragma once
// Reads the data types of RFC 4251 section 5. For the fields inside a field, make another Reader, and call
// its `expect_end` after the last field.

#include "base/bytes.hpp"

#include <cstdint>

namespace sshtpm::wire {

class Reader {
  public:
    explicit Reader(ByteView bytes) noexcept : rest_(bytes) {}

    // Each function removes a value from the front of the view. @throws Error(malformed) if the view is too
    // short
    std::uint8_t byte() { return take(1).front(); }
    bool boolean() { return byte() != 0; } ///< any non-zero byte is true, as RFC 4251 demands
    std::uint32_t uint32() { return static_cast<std::uint32_t>(big_endian(4)); }
    std::uint64_t uint64() { return big_endian(8); }
    ByteView string() { return take(uint32()); }
    std::string_view text() { return text_of(string()); }
    /// A text that OpenSSH keeps as a C string. @throws Error(malformed) if it contains a NUL
    std::string_view c_text();
    /// A non-negative mpint without its sign byte; zero is the empty view.
    /// @throws Error(malformed) for a negative mpint, or one that is not in its shortest form
    ByteView unsigned_mpint();
    /// The next `count` bytes.
    ByteView take(std::size_t count);

    ByteView rest() const noexcept { return rest_; }
    bool empty() const noexcept { return rest_.empty(); }
    /// @throws Error(malformed) if bytes are left
    void expect_end() const;

  private:
    std::uint64_t big_endian(std::size_t width);

    ByteView rest_;
};

} // namespace sshtpm::wire
