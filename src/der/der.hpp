// SPDX-License-Identifier: MIT
#pragma once
// The part of DER (X.690) that key files use: lengths below 64 KiB, tag numbers up to 30.

#include "base/bytes.hpp"

#include <cstdint>
#include <string>

namespace sshtpm::der {

/// Reads elements from the front of a view.
class Reader {
  public:
    explicit Reader(ByteView bytes) noexcept : rest_(bytes) {}

    // Each function throws Error(malformed) if the next element has another type or is not DER.
    Reader sequence();
    ByteView octet_string();
    /// The content octets; `dotted` checks them.
    ByteView object_identifier();
    std::string_view utf8_string(); ///< valid UTF-8
    std::uint32_t uint32();
    /// Any non-zero byte is true: OpenSSL-based writers emit 01 where DER demands FF.
    bool boolean();
    /// True if the next element has the EXPLICIT context tag `number`, at most 30.
    bool next_is_explicit(unsigned number) const noexcept;
    Reader explicit_tag(unsigned number);

    ByteView rest() const noexcept { return rest_; }
    bool empty() const noexcept { return rest_.empty(); }
    /// @throws Error(malformed) if bytes are left
    void expect_end() const;

  private:
    ByteView element(std::uint8_t tag);

    ByteView rest_;
};

/// The dotted decimal form of an OBJECT IDENTIFIER, "2.23.133.10.1.3", from its content octets.
/// @throws Error(malformed) for a number that is cut short, not in its shortest form or above 2^64-1.
std::string dotted(ByteView object_identifier);

/// Writes elements one after another.
class Writer {
  public:
    // Each throws Error(malformed) for an element of 64 KiB or more.
    Writer& sequence(const Writer& content);
    Writer& explicit_tag(unsigned number, const Writer& content);
    Writer& octet_string(ByteView value);
    Writer& object_identifier(ByteView content);
    Writer& utf8_string(std::string_view value);
    Writer& uint32(std::uint32_t value);
    Writer& boolean(bool value);

    const Bytes& bytes() const& noexcept { return bytes_; }

  private:
    Writer& element(std::uint8_t tag, ByteView content);

    Bytes bytes_;
};

} // namespace sshtpm::der
