// SPDX-License-Identifier: MIT
#pragma once
// The one command that makes a signature: TPM2_Sign or TPM2_RSA_Decrypt.

#include "base/bytes.hpp"
#include "tpm/context.hpp"

#include <optional>

namespace sshtpm::tpm {

/// Signs a digest with ECDSA or RSASSA-PKCS1-v1_5, depending on the key's type. An RSA key with the attribute
/// decrypt and without a scheme of its own signs with TPM2_RSA_Decrypt, for which the TPM needs no hash;
/// every other key with TPM2_Sign.
/// @param object the loaded key, with its auth value set
/// @param key its public area, as keyfile::require_signing_key accepts it
/// @param session ESYS_TR_PASSWORD for an empty auth value, else an HMAC session
/// @param hash SHA-256, SHA-384 or SHA-512
/// @returns nothing if the TPM refuses the auth value
/// @throws Error(unsupported) if TPM2_Sign needs a hash that this TPM lacks
std::optional<TPMT_SIGNATURE> sign_digest(const Context& context, ESYS_TR object, const TPMT_PUBLIC& key,
                                          ESYS_TR session, TPMI_ALG_HASH hash, ByteView digest);

} // namespace sshtpm::tpm
