// SPDX-License-Identifier: MIT
#pragma once
// The commands of attestation (TPM 2.0 Part 1, 31): endorsement and attestation keys, TPM2_Certify,
// TPM2_ActivateCredential. All functions block; call them in a job of Tpm::run.

#include "base/secret.hpp"
#include "tpm/loaded_keys.hpp"
#include "tpm/templates.hpp"

#include <vector>

namespace sshtpm::tpm {

class Tpm;

/// The certificates that the TPM's maker has put into its NV memory.
struct Endorsement {
    const EndorsementKey* key = nullptr;
    Bytes certificate;        ///< DER; empty if the TPM has none
    std::vector<Bytes> chain; ///< DER, of any endorsement key (the profile's 2.2.1.5.2: 0x01c00100 and on)
};

/// Reads the certificate of the first of endorsement_keys() that has one; logs a warning of an NV index that
/// holds something else. Without one, the key is P-256, or RSA 2048 on a TPM without ECC.
Endorsement read_endorsement(Tpm& tpm);

/// Makes the endorsement key, for Names alone, and flushes it. @returns its public area
/// @throws Error(auth) for a hierarchy with a password, Error(tpm) for a disabled one
TPMT_PUBLIC endorsement_public(Tpm& tpm, const EndorsementKey& key);

/// Makes the attestation key; ECC if the TPM has it. The keys that were loaded are flushed before, because
/// three objects fit into a TPM.
/// @throws Error as endorsement_public
Handle load_attestation_key(Tpm& tpm);

/// TPM2_ActivateCredential.
/// @param attestation_key as load_attestation_key returns it
/// @returns the secret of the credential
/// @throws Error(foreign_key) for a credential of another endorsement key or attestation key
Secret activate_credential(Tpm& tpm, const EndorsementKey& key, const Handle& attestation_key,
                           const TPM2B_ID_OBJECT& id_object, const TPM2B_ENCRYPTED_SECRET& secret);

/// TPM2_Quote with an attestation key. A bank that the TPM does not have gives a quote about nothing.
/// @param qualifying_data a digest that the statement includes
Attested quote(Tpm& tpm, const Handle& attestation_key, const TPML_PCR_SELECTION& selection,
               ByteView qualifying_data);

/// TPM2_PCR_Read, of a selection with one bank.
/// @returns the values in ascending order of the PCRs; fewer than were asked for if the TPM lacks the bank
std::vector<Bytes> read_pcrs(Tpm& tpm, const TPML_PCR_SELECTION& selection);

} // namespace sshtpm::tpm
