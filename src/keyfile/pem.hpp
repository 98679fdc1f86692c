#pragma once
// The PEM container of RFC 7468: one block of base64 between two boundary lines that bear a label.

#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sshtpm::keyfile {

struct PemBlock {
    std::string_view
        preamble; ///< the explanatory text in front of the block (RFC 7468 section 2); a view of the input
    Bytes content;
};

/// Reads text that holds one block with this label, any lines in front of it that begin no other block,
/// and white space alone behind it. Lines end in LF or CRLF; those of the body are 1 to 76 characters of
/// strict base64 (RFC 7468 writes 64, RFC 2045 writes 76).
/// @throws Error(malformed)
PemBlock decode_pem(std::string_view text, std::string_view label);

/// The label of the first block in the text; nothing else is checked.
std::optional<std::string_view> first_label(std::string_view text) noexcept;

/// The block with lines of 64 characters (RFC 7468 section 3).
std::string encode_pem(ByteView content, std::string_view label);

} // namespace sshtpm::keyfile
