// SPDX-License-Identifier: MIT
#pragma once
// OpenSSL's objects for the curves, digests and numbers of SSH. For the module ssh only.

#include "base/openssl.hpp"
#include "ssh/algorithm.hpp"

#include <openssl/ec.h>

namespace sshtpm::ssh::openssl {

using namespace sshtpm::openssl;

using EcPoint = Owner<EC_POINT, EC_POINT_free>;

/// @param curve not RSA
/// @returns a group that is made once and kept until the program ends
/// @throws Error(unsupported) if this OpenSSL does not have the curve
const EC_GROUP* group_of(KeyType curve);

/// OpenSSL's name of the curve: "prime256v1".
const char* group_name(KeyType curve);

/// Finds the curve by OpenSSL's name; nothing for a curve that this agent does not use.
std::optional<KeyType> curve_of_group(std::string_view group_name);

/// @returns a digest that is fetched once and kept, because a fetch takes longer than the digest of a short
///     message
const EVP_MD* fetched(Hash hash);

/// Converts from and to a big-endian unsigned integer.
Number number_of(ByteView integer);
Bytes bytes_of(const BIGNUM* number);

} // namespace sshtpm::ssh::openssl
