// SPDX-License-Identifier: MIT
#pragma once
// The outer wrapper of TPM 2.0 Part 1, in software: it encrypts data for a TPM's storage key and binds them
// to an object's Name. Duplicates (clause 23.3) and credentials (clause 24) have it.

#include "base/secret.hpp"

#include <string_view>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// Checks that data can be wrapped for this storage key: ECC (P-256, P-384, P-521) or RSA; name algorithm
/// SHA-1 or SHA-2; AES-CFB.
/// @param subject the key in messages
/// @throws Error(malformed | unsupported) that names the difference
void require_storage_key(const TPMT_PUBLIC& area, std::string_view subject = "the parent");

/// The use of a seed, which the key exchange hashes with the zero byte (Part 1, 23.3.2.3 and 24.4).
inline constexpr std::string_view for_duplicate("DUPLICATE", 10);
inline constexpr std::string_view for_identity("IDENTITY", 9);

struct OuterWrapped {
    Bytes secret;  ///< TPM2B_ENCRYPTED_SECRET, marshalled: the TPM recovers the seed from it
    Bytes content; ///< the HMAC as a TPM2B_DIGEST, then the encrypted data
};

/// @param use for_duplicate or for_identity
/// @param name of the object that the data belong to
/// @throws Error as require_storage_key does, and Error(malformed) for a storage key that is no key
OuterWrapped wrap_outer(const TPMT_PUBLIC& storage_key, std::string_view use, ByteView name, ByteView data);

} // namespace sshtpm::keyfile
