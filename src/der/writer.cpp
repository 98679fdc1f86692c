#include "der/writer.hpp"

#include "base/error.hpp"
#include "der/tag.hpp"

#include <array>

namespace sshtpm::der {

namespace {

std::uint8_t low_byte(std::size_t value) {
    return static_cast<std::uint8_t>(value & 0xFFU);
}

} // namespace

Writer& Writer::element(std::uint8_t tag, ByteView content) {
    const auto length = content.size();
    if (length > 0xFFFF)
        throw Error(Errc::malformed, "a DER element of 64 KiB or more");
    bytes_.push_back(tag);
    if (length >= 0x100)
        append(bytes_, std::array<std::uint8_t, 3>{0x82, low_byte(length >> 8U), low_byte(length)});
    else if (length >= 0x80)
        append(bytes_, std::array<std::uint8_t, 2>{0x81, low_byte(length)});
    else
        bytes_.push_back(low_byte(length));
    append(bytes_, content);
    return *this;
}

Writer& Writer::sequence(const Writer& content) {
    return element(tag::sequence, content.bytes());
}

Writer& Writer::explicit_tag(unsigned number, const Writer& content) {
    return element(tag::explicit_tag(number), content.bytes());
}

Writer& Writer::octet_string(ByteView value) {
    return element(tag::octet_string, value);
}

Writer& Writer::object_identifier(ByteView content) {
    return element(tag::object_identifier, content);
}

Writer& Writer::utf8_string(std::string_view value) {
    return element(tag::utf8_string, bytes_of(value));
}

Writer& Writer::uint32(std::uint32_t value) {
    const std::array<std::uint8_t, 4> big_endian{low_byte(value >> 24U), low_byte(value >> 16U),
                                                 low_byte(value >> 8U), low_byte(value)};
    Bytes content = copy_of(without_leading_zeros(big_endian));
    if (content.empty() || (content[0] & 0x80U) != 0)
        content.insert(content.begin(), 0); // zero itself, or the sign octet
    return element(tag::integer, content);
}

Writer& Writer::boolean(bool value) {
    const std::uint8_t content = value ? 0xFF : 0x00; // X.690 section 11.1
    return element(tag::boolean, {&content, 1});
}

} // namespace sshtpm::der
