#pragma once
// Writes the DER of key files.

#include "base/bytes.hpp"

namespace sshtpm::der {

class Writer {
  public:
    Writer& sequence(const Writer& content);
    Writer& explicit_tag(unsigned number, const Writer& content);
    Writer& octet_string(ByteView value);
    /// From the content octets.
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
