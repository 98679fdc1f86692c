#pragma once
// Base64 of RFC 4648 section 4, strict in both directions: padding is there, unused bits are zero, and
// nothing but the alphabet occurs.

#include "base/bytes.hpp"

namespace sshtpm {

enum class Base64Padding { with, without };

std::string base64_encode(ByteView bytes, Base64Padding padding = Base64Padding::with);

/// @throws Error(malformed) for anything but one canonical padded encoding.
Bytes base64_decode(std::string_view text);

} // namespace sshtpm
