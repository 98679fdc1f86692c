// SPDX-License-Identifier: MIT
#pragma once
// Converts between the TPM's structures and SSH's.

#include "ssh/public_key.hpp"
#include "ssh/signature.hpp"
#include "tpm/templates.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::identity {

/// Pads narrow coordinates to the curve's width, because some programs strip leading zero bytes.
/// @throws Error(unsupported | malformed)
ssh::PublicKey to_public_key(const TPMT_PUBLIC& area);

/// The TPM's algorithm for a key of this type and size.
tpm::KeyAlgorithm to_algorithm(const ssh::PublicKey& key);

/// The public area of a key to import: neither fixedTPM nor fixedParent.
TPMT_PUBLIC to_public_area(const ssh::PublicKey& key, tpm::DictionaryAttack dictionary_attack,
                           tpm::RsaUse rsa_use);

/// @throws Error(malformed) for a signature that is neither ECDSA nor RSASSA.
ssh::RawSignature to_signature(const TPMT_SIGNATURE& signature);

TPMI_ALG_HASH to_tpm(ssh::Hash hash);

} // namespace sshtpm::identity
