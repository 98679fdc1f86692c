// SPDX-License-Identifier: MIT
#include "der/der.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace sshtpm::der {

namespace {

/// Identifier octets (X.690 section 8.1.2).
enum Tag : std::uint8_t {
    tag_boolean = 0x01,
    tag_integer = 0x02,
    tag_octet_string = 0x04,
    tag_object_identifier = 0x06,
    tag_utf8_string = 0x0C,
    tag_sequence = 0x30,   ///< constructed
    tag_explicit_0 = 0xA0, ///< context-specific, constructed, number 0
};

/// The bits of the tag number. All are set if the number is above 30 and follows in separate octets.
constexpr std::uint8_t number_bits = 0x1F;

std::uint8_t explicit_tag_of(unsigned number) {
    return static_cast<std::uint8_t>(tag_explicit_0 | number);
}

std::string name_of(std::uint8_t tag) {
    switch (tag) {
    case tag_boolean:
        return "BOOLEAN";
    case tag_integer:
        return "INTEGER";
    case tag_octet_string:
        return "OCTET STRING";
    case tag_object_identifier:
        return "OBJECT IDENTIFIER";
    case tag_utf8_string:
        return "UTF8String";
    case tag_sequence:
        return "SEQUENCE";
    default:
        break;
    }
    if ((tag & number_bits) == number_bits)
        return "tag above 30";
    if (tag >= tag_explicit_0)
        return std::string("[").append(std::to_string(tag & number_bits)).append("]");
    return "tag 0x" + hex({&tag, 1});
}

/// Removes the length octets (X.690 section 8.1.3) from the front of `rest`; DER has one form for each length
/// (section 10.1).
std::size_t take_length(ByteView& rest) {
    if (rest.empty())
        malformed("the data ends before a length");
    const std::uint8_t first = rest[0];
    rest = rest.subspan(1);
    if (first < 0x80)
        return first;
    if (first == 0x80)
        malformed("an indefinite length, which DER forbids");
    const std::size_t count = first & 0x7FU;
    if (count > 2)
        malformed("a length of 64 KiB or more");
    if (rest.size() < count)
        malformed("the data ends within a length");
    const std::size_t length = count == 1 ? rest[0] : static_cast<std::size_t>(rest[0]) << 8U | rest[1];
    if (length < (count == 1 ? 0x80U : 0x100U))
        malformed("a length that is not in its shortest form");
    rest = rest.subspan(count);
    return length;
}

std::uint8_t low_byte(std::size_t value) {
    return static_cast<std::uint8_t>(value & 0xFFU);
}

} // namespace

ByteView Reader::element(std::uint8_t tag) {
    if (rest_.empty())
        malformed("the data ends where " + name_of(tag) + " belongs");
    if (rest_[0] != tag)
        malformed(name_of(rest_[0]) + " where " + name_of(tag) + " belongs");
    auto after = rest_.subspan(1);
    const auto length = take_length(after);
    if (length > after.size())
        malformed("the data ends within " + name_of(tag));
    rest_ = after.subspan(length);
    return after.first(length);
}

Reader Reader::sequence() {
    return Reader(element(tag_sequence));
}

ByteView Reader::octet_string() {
    return element(tag_octet_string);
}

ByteView Reader::object_identifier() {
    return element(tag_object_identifier);
}

std::string_view Reader::utf8_string() {
    const auto text = text_of(element(tag_utf8_string));
    if (!is_utf8(text))
        malformed("UTF8String that is not UTF-8");
    return text;
}

std::uint32_t Reader::uint32() {
    auto content = element(tag_integer);
    if (content.empty())
        malformed("INTEGER without content");
    if ((content[0] & 0x80U) != 0)
        malformed("a negative INTEGER");
    if (content[0] == 0 && content.size() > 1) {
        if ((content[1] & 0x80U) == 0) // X.690 section 8.3.2
            malformed("INTEGER that is not in its shortest form");
        content = content.subspan(1);
    }
    if (content.size() > 4)
        malformed("INTEGER above 2^32-1");
    std::uint32_t value = 0;
    for (const auto byte : content)
        value = value << 8U | byte;
    return value;
}

bool Reader::boolean() {
    const auto content = element(tag_boolean);
    if (content.size() != 1)
        malformed("BOOLEAN of " + std::to_string(content.size()) + " bytes");
    return content[0] != 0;
}

bool Reader::next_is_explicit(unsigned number) const noexcept {
    return !rest_.empty() && rest_[0] == explicit_tag_of(number);
}

Reader Reader::explicit_tag(unsigned number) {
    return Reader(element(explicit_tag_of(number)));
}

void Reader::expect_end() const {
    if (!rest_.empty())
        malformed("bytes after the end (" + std::to_string(rest_.size()) + ")");
}

std::string dotted(ByteView object_identifier) {
    std::string text;
    std::uint64_t number = 0; // base 128, most significant first, the high bit set on all octets but the last
    bool within = false;
    for (const auto octet : object_identifier) {
        if (!within && octet == 0x80)
            malformed("OBJECT IDENTIFIER that is not in its shortest form");
        if (number > std::numeric_limits<std::uint64_t>::max() >> 7U)
            malformed("OBJECT IDENTIFIER with an arc above 2^64-1");
        number = number << 7U | (octet & 0x7FU);
        within = (octet & 0x80U) != 0;
        if (within)
            continue;
        if (text.empty()) { // two arcs: 40 times the root arc (0, 1 or 2), plus the next
            const auto root = std::min<std::uint64_t>(number / 40, 2);
            text = std::to_string(root);
            number -= root * 40;
        }
        text.append(".").append(std::to_string(number));
        number = 0;
    }
    if (within || text.empty())
        malformed("OBJECT IDENTIFIER that is cut short");
    return text;
}

Writer& Writer::element(std::uint8_t tag, ByteView content) {
    const auto length = content.size();
    if (length > 0xFFFF)
        malformed("a DER element of 64 KiB or more");
    bytes_.push_back(tag);
    if (length >= 0x100)
        append(bytes_, Bytes{0x82, low_byte(length >> 8U), low_byte(length)});
    else if (length >= 0x80)
        append(bytes_, Bytes{0x81, low_byte(length)});
    else
        bytes_.push_back(low_byte(length));
    append(bytes_, content);
    return *this;
}

Writer& Writer::sequence(const Writer& content) {
    return element(tag_sequence, content.bytes());
}

Writer& Writer::explicit_tag(unsigned number, const Writer& content) {
    return element(explicit_tag_of(number), content.bytes());
}

Writer& Writer::octet_string(ByteView value) {
    return element(tag_octet_string, value);
}

Writer& Writer::object_identifier(ByteView content) {
    return element(tag_object_identifier, content);
}

Writer& Writer::utf8_string(std::string_view value) {
    return element(tag_utf8_string, bytes_of(value));
}

Writer& Writer::uint32(std::uint32_t value) {
    const Bytes big_endian{low_byte(value >> 24U), low_byte(value >> 16U), low_byte(value >> 8U),
                           low_byte(value)};
    Bytes content = copy_of(without_leading_zeros(big_endian));
    if (content.empty() || (content[0] & 0x80U) != 0)
        content.insert(content.begin(), 0); // the single octet of zero, or the sign octet
    return element(tag_integer, content);
}

Writer& Writer::boolean(bool value) {
    const std::uint8_t content = value ? 0xFF : 0x00; // X.690 section 11.1
    return element(tag_boolean, {&content, 1});
}

} // namespace sshtpm::der
