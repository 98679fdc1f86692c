#pragma once
// Reads the data types of RFC 4251 section 5 from a view that shrinks. Every length is checked once, here;
// a field within a field is a Reader of its own, and its reader ends with `expect_end`.

#include "base/bytes.hpp"

namespace sshtpm::wire {

class Reader {
  public:
    explicit Reader(ByteView bytes) noexcept : rest_(bytes) {}

    // Each throws Error(malformed) when the view is too short for it.
    std::uint8_t byte();
    bool boolean(); ///< any non-zero byte is true, as RFC 4251 has readers do
    std::uint32_t uint32();
    std::uint64_t uint64();
    ByteView string();
    std::string_view text();
    /// A text that programs in C keep as a C string. @throws Error(malformed) when there is a NUL in it.
    std::string_view c_text();
    /// A non-negative mpint in its shortest form, without the sign byte; zero is the empty view.
    ByteView unsigned_mpint();
    /// The next `count` bytes as they are.
    ByteView take(std::size_t count);

    ByteView rest() const noexcept { return rest_; }
    bool empty() const noexcept { return rest_.empty(); }
    /// @throws Error(malformed) when anything is left.
    void expect_end() const;

  private:
    ByteView rest_;
};

} // namespace sshtpm::wire
