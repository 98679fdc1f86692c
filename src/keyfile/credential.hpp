// SPDX-License-Identifier: MIT
#pragma once
// Credentials: a secret that only one TPM can decrypt, and only while it holds one object (TPM 2.0 Part 1,
// clause 24). TPM2_ActivateCredential undoes what is made here.

#include "base/secret.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

struct Credential {
    TPM2B_ID_OBJECT id_object{};
    TPM2B_ENCRYPTED_SECRET secret{};
};

/// TPM2_MakeCredential (TPM 2.0 Part 3), in software.
/// @param endorsement_key a storage key as for require_storage_key, nameAlg SHA-256, SHA-384 or SHA-512
/// @param name of the object
/// @param secret at least one byte, at most a digest of the endorsement key's nameAlg
/// @throws Error(malformed | unsupported) for keys, Names and secrets that no TPM takes
Credential make_credential(const TPMT_PUBLIC& endorsement_key, ByteView name, const Secret& secret);

/// The file that tpm2_makecredential writes: magic number, version 1, the two structures.
Bytes to_file(const Credential& credential);

/// @throws Error(malformed) for any other file, Error(unsupported) for another version
Credential parse_credential(ByteView file);

} // namespace sshtpm::keyfile
