#pragma once
// A secret that only the TPM of a storage key can recover.

#include "base/secret.hpp"

#include <string_view>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

struct SharedSeed {
    Secret seed;  ///< 256 bits
    Bytes secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled
};

/// "Secret sharing" with an ECC P-256, SHA-256 storage key (TPM 2.0 Part 1, C.6.1 and C.6.4): the public half
/// of an ephemeral key goes to the TPM, the private half is forgotten.
/// @param label of the seed's purpose.
/// @throws Error(malformed) when the key is not a point of the curve.
SharedSeed share_seed(const TPMT_PUBLIC& storage_key, std::string_view label);

} // namespace sshtpm::keyfile
