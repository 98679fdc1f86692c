// SPDX-License-Identifier: MIT
#pragma once
// The key derivation functions of OpenSSL, and the parameters that OpenSSL's functions take.

#include "base/secret.hpp"

#include <cstddef>
#include <vector>

#include <openssl/params.h>

namespace sshtpm::keyfile {

// Parameters point to their values, which must live as long.
OSSL_PARAM bytes_param(const char* name, ByteView value);
OSSL_PARAM text_param(const char* name, const char* value);

/// @param algorithm as EVP_KDF_fetch names it: "HKDF"
/// @param params with OSSL_PARAM_construct_end at the end
/// @param size of the derived key in bytes
/// @throws Error(io) if OpenSSL fails
Secret derive_key(const char* algorithm, const std::vector<OSSL_PARAM>& params, std::size_t size);

} // namespace sshtpm::keyfile
