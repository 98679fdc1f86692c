#pragma once
// OpenSSL's objects for the curves, digests and numbers of SSH. For this module only.

#include "base/openssl.hpp"
#include "ssh/algorithm.hpp"

#include <openssl/ec.h>

namespace sshtpm::ssh::openssl {

using namespace sshtpm::openssl;

using EcPoint = Owner<EC_POINT, EC_POINT_free>;

/// Made once for the life of the program.
/// @param curve not RSA. @throws Error(unsupported) when this OpenSSL does not have it.
const EC_GROUP* group_of(KeyType curve);

/// OpenSSL's name of the curve: "prime256v1".
const char* group_name(KeyType curve);

/// By OpenSSL's name; nothing for a curve that no key of this agent has.
std::optional<KeyType> curve_of_group(std::string_view group_name);

/// Fetched once for the life of the program: a fetch costs more than the digest of a short message.
const EVP_MD* fetched(Hash hash);

/// From and to a big-endian unsigned integer.
Number number_of(ByteView integer);
Bytes bytes_of(const BIGNUM* number);

} // namespace sshtpm::ssh::openssl
