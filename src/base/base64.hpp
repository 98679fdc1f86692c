// SPDX-License-Identifier: MIT
#pragma once
// Base64 (RFC 4648 section 4). Decoding is strict: padding is required, unused bits are zero, and there are
// no other characters.

#include "base/bytes.hpp"

namespace sshtpm {

enum class Base64Padding { with, without };

std::string base64_encode(ByteView bytes, Base64Padding padding = Base64Padding::with);

/// @throws Error(malformed) unless the text is canonical, padded base64
Bytes base64_decode(std::string_view text);

} // namespace sshtpm
