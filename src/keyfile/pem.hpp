#pragma once
// PEM (RFC 7468): a block of base64 between two boundary lines with a label.

#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sshtpm::keyfile {

struct PemBlock {
    /// The explanatory text in front of the block (RFC 7468 section 2), a view of the input.
    std::string_view preamble;
    Bytes content;
};

/// Reads a text with one block of this label. Lines may be in front of it, and only white space after it.
/// Lines end in LF or CRLF. The body is strict base64 in lines of at most 76 characters, as in RFC 2045; RFC
/// 7468 writes 64.
/// @throws Error(malformed)
PemBlock decode_pem(std::string_view text, std::string_view label);

/// The label of the first BEGIN line. Nothing else is checked.
std::optional<std::string_view> first_label(std::string_view text) noexcept;

/// The block with lines of 64 characters (RFC 7468 section 3).
std::string encode_pem(ByteView content, std::string_view label);

} // namespace sshtpm::keyfile
