#pragma once
// The content octets of an OBJECT IDENTIFIER (X.690 section 8.19).

#include "base/bytes.hpp"

#include <string>

namespace sshtpm::der {

/// @throws Error(malformed) unless every arc is there, whole, in its shortest form and below 2^64.
void check_object_identifier(ByteView content);

/// The dotted decimal form: "2.23.133.10.1.3".
/// @throws Error(malformed) as `check_object_identifier` does.
std::string dotted(ByteView content);

} // namespace sshtpm::der
