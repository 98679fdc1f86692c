// SPDX-License-Identifier: MIT
#pragma once
// PEM (RFC 7468): a block of base64 between two boundary lines with a label.
//
// Reading takes what OpenSSL and ssh-keygen take: text, certificates and public keys around the private key,
// a byte order mark in front, any line end but a lone CR, and white space at the ends of boundary lines and
// anywhere in the base64 ("lax" parsing, RFC 7468 section 3).

#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sshtpm {

/// The characters that PEM skips (W in RFC 7468 section 3).
inline constexpr std::string_view white_space = " \t\r\n\v\f";

/// Where the private key is in a text. The members are views of it.
struct PrivateKeyBlock {
    std::string_view label;  ///< without the dashes, such as "EC PRIVATE KEY"
    std::string_view before; ///< the text in front of the BEGIN line, without its byte order mark
    std::string_view text;   ///< from the BEGIN line to the end of the file
};

/// Finds the block whose label ends in "PRIVATE KEY". Its lines after the first are not checked.
/// @throws Error(malformed) for two such blocks: readers would differ in which key they take
std::optional<PrivateKeyBlock> find_private_key(std::string_view text);

/// Throws Error(malformed), which names the first block of a text without a private key.
[[noreturn]] void refuse_without_private_key(std::string_view text);

struct PemBlock {
    std::string_view before; ///< the text in front of the BEGIN line, a view of the input
    Bytes content;
    std::string_view after; ///< the text that follows the END line, a view of the input
};

/// Reads the private key in a text. Headers in its block (RFC 1421) are refused.
/// @param label ends in "PRIVATE KEY"
/// @throws Error(malformed)
PemBlock decode_pem(std::string_view text, std::string_view label);

/// The block with lines of 64 characters (RFC 7468 section 3).
std::string encode_pem(ByteView content, std::string_view label);

} // namespace sshtpm
