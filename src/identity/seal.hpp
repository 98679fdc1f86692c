// SPDX-License-Identifier: MIT
#pragma once
// Brings keys that were made outside the TPM into it.

#include "identity/identity.hpp"
#include "ssh/private_key.hpp"
#include "tpm/session.hpp"
#include "tpm/templates.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {
class Tpm;
}

namespace sshtpm::identity {

/// Makes an importable key file for the TPM of this storage key. Needs no TPM.
/// @param storage_key as from keyfile::parse_parent or tpm::storage_key_area
/// @param parent written into the file: TPM2_RH_OWNER, or a persistent handle
/// @param rsa_use as tpm::rsa_use returns it there; an RSA key with decrypt signs on every TPM
/// @throws Error(unsupported) for an RSA key whose exponent is not 65537
keyfile::KeyFile wrap_for(const TPMT_PUBLIC& storage_key, const ssh::PrivateKey& key, const tpm::Auth& auth,
                          TPM2_HANDLE parent, const std::string& comment, tpm::RsaUse rsa_use);

/// Imports a wrapped key, and tests it with a signature. Blocking; call it in a job of Tpm::run.
/// @param auth the auth value that was wrapped with the key
/// @throws Error(unsupported) for a key that this TPM does not support, Error(foreign_key) if it was wrapped
///     for another TPM, Error(auth) if `auth` is wrong, and as make_identity does
Identity unwrap(tpm::Tpm& tpm, const keyfile::KeyFile& wrapped, const tpm::Auth& auth,
                const std::string& fallback_comment);

/// Calls wrap_for and unwrap with the storage key of this TPM. Blocking; call it in a job of Tpm::run.
/// @param auth of the new key; null for none
/// @throws Error as wrap_for and unwrap do
Identity seal(tpm::Tpm& tpm, const ssh::PrivateKey& key, const tpm::Auth& auth, TPM2_HANDLE parent,
              const std::string& comment);

} // namespace sshtpm::identity
