#pragma once
// Between the TPM's structures and SSH's.

#include "ssh/public_key.hpp"
#include "ssh/signature.hpp"
#include "tpm/templates.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::identity {

/// Coordinates narrower than the curve are widened: other programs strip leading zero bytes.
/// @throws Error(unsupported | malformed)
ssh::PublicKey to_public_key(const TPMT_PUBLIC& area);

/// The TPM's algorithm of such a key.
tpm::KeyAlgorithm to_algorithm(const ssh::PublicKey& key);

/// Of a key to import: neither fixedTPM nor fixedParent.
TPMT_PUBLIC to_public_area(const ssh::PublicKey& key, tpm::DictionaryAttack dictionary_attack);

/// @throws Error(malformed) for a signature that is neither ECDSA nor RSASSA.
ssh::RawSignature to_signature(const TPMT_SIGNATURE& signature);

TPMI_ALG_HASH to_tpm(ssh::Hash hash);

} // namespace sshtpm::identity
