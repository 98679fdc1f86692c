#include "der/reader.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "der/object_identifier.hpp"
#include "der/tag.hpp"

#include <string>

namespace sshtpm::der {

namespace {

std::string name_of(std::uint8_t tag) {
    switch (tag) {
    case tag::boolean:
        return "BOOLEAN";
    case tag::integer:
        return "INTEGER";
    case tag::octet_string:
        return "OCTET STRING";
    case tag::object_identifier:
        return "OBJECT IDENTIFIER";
    case tag::utf8_string:
        return "UTF8String";
    case tag::sequence:
        return "SEQUENCE";
    default:
        break;
    }
    if ((tag & tag::highest_number) == tag::highest_number)
        return "tag above 30";
    if (tag >= tag::explicit_0)
        return std::string("[") + std::to_string(tag & tag::highest_number) + "]";
    return "tag 0x" + hex({&tag, 1});
}

struct Length {
    std::size_t content = 0;
    std::size_t octets = 0; ///< that the length itself takes
};

/// The length octets of X.690 section 8.1.3, in the one form that section 10.1 leaves to DER.
Length read_length(ByteView bytes) {
    if (bytes.empty())
        malformed("the data ends before a length");
    const std::uint8_t first = bytes[0];
    if (first < 0x80)
        return {first, 1};
    if (first == 0x80)
        malformed("an indefinite length, which DER forbids");
    const std::size_t count = first & 0x7FU;
    if (count > 2)
        malformed("a length of 64 KiB or more");
    if (bytes.size() < 1 + count)
        malformed("the data ends within a length");
    const std::size_t content = count == 1 ? bytes[1] : static_cast<std::size_t>(bytes[1]) << 8U | bytes[2];
    if (content < (count == 1 ? 0x80U : 0x100U))
        malformed("a length that is not in its shortest form");
    return {content, 1 + count};
}

} // namespace

ByteView Reader::element(std::uint8_t tag) {
    if (rest_.empty())
        malformed("the data ends where " + name_of(tag) + " belongs");
    if (rest_[0] != tag)
        malformed(name_of(rest_[0]) + " where " + name_of(tag) + " belongs");
    const auto length = read_length(rest_.subspan(1));
    const auto after = rest_.subspan(1 + length.octets);
    if (length.content > after.size())
        malformed("the data ends within " + name_of(tag));
    rest_ = after.subspan(length.content);
    return after.first(length.content);
}

Reader Reader::sequence() {
    return Reader(element(tag::sequence));
}

ByteView Reader::octet_string() {
    return element(tag::octet_string);
}

ByteView Reader::object_identifier() {
    const auto content = element(tag::object_identifier);
    check_object_identifier(content);
    return content;
}

std::string_view Reader::utf8_string() {
    const auto text = text_of(element(tag::utf8_string));
    if (!is_utf8(text))
        malformed("UTF8String that is not UTF-8");
    return text;
}

std::uint32_t Reader::uint32() {
    auto content = element(tag::integer);
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
    const auto content = element(tag::boolean);
    if (content.size() != 1)
        malformed("BOOLEAN of " + std::to_string(content.size()) + " bytes");
    return content[0] != 0;
}

bool Reader::next_is_explicit(unsigned number) const noexcept {
    return !rest_.empty() && rest_[0] == tag::explicit_tag(number);
}

Reader Reader::explicit_tag(unsigned number) {
    return Reader(element(tag::explicit_tag(number)));
}

void Reader::expect_end() const {
    if (!rest_.empty())
        malformed("bytes after the end (" + std::to_string(rest_.size()) + ")");
}

} // namespace sshtpm::der
