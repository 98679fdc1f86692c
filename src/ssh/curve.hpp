#pragma once
// The curves of ECDSA keys as OpenSSL knows them. Not for other rooms.

#include "ssh/openssl.hpp"

#include <optional>
#include <string_view>

namespace sshtpm::ssh::openssl {

/// Made once for the life of the program.
/// @param curve not RSA. @throws Error(unsupported) when this OpenSSL does not have it.
const EC_GROUP* group_of(KeyType curve);

/// "prime256v1" and its like.
const char* group_name(KeyType curve);

/// Nothing for a curve that no key of this agent has.
std::optional<KeyType> curve_of_group(std::string_view group_name);

} // namespace sshtpm::ssh::openssl
