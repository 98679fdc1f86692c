#pragma once
// Reads the DER (X.690) that key files are made of, from a view that shrinks: definite shortest lengths,
// low tag numbers, lengths below 64 KiB.

#include "base/bytes.hpp"

namespace sshtpm::der {

class Reader {
  public:
    explicit Reader(ByteView bytes) noexcept : rest_(bytes) {}

    // Each throws Error(malformed) when the next element is not of this type or not DER.
    Reader sequence();
    ByteView octet_string();
    /// The content octets of an OBJECT IDENTIFIER.
    ByteView object_identifier();
    std::string_view utf8_string(); ///< checked to be UTF-8
    /// An INTEGER from 0 to 2^32-1 in its shortest form.
    std::uint32_t uint32();
    /// Any non-zero byte is true: OpenSSL-based writers emit 01 where DER demands FF.
    bool boolean();
    /// True when the next element is the EXPLICIT context tag `number` (0..30).
    bool next_is_explicit(unsigned number) const noexcept;
    Reader explicit_tag(unsigned number);

    ByteView rest() const noexcept { return rest_; }
    bool empty() const noexcept { return rest_.empty(); }
    /// @throws Error(malformed) when anything is left.
    void expect_end() const;

  private:
    ByteView element(std::uint8_t tag);

    ByteView rest_;
};

} // namespace sshtpm::der
