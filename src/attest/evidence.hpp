// SPDX-License-Identifier: MIT
#pragma once
// What an attestation key says (TPM 2.0 Part 1, 31): its statements, checked.

#include "attest/document.hpp"
#include "ssh/signature.hpp"

namespace sshtpm::attest {

/// Checks by its attributes that a key signs for SSH, and has never been outside the TPM: fixedTPM,
/// fixedParent, sensitiveDataOrigin. The TPM certifies imported keys, too. @throws Error(refused)
void require_born_here(const TPMT_PUBLIC& area);

/// The public half of an attestation key of this program.
class AttestationKey {
  public:
    /// @throws Error(refused) for a key of another template: it may sign what is not true
    explicit AttestationKey(const TPMT_PUBLIC& area);

    const Bytes& name() const noexcept { return name_; }

    /// Checks the signature, that a TPM has made the statement (TPM_GENERATED_VALUE), its type, that it is of
    /// this key in the endorsement hierarchy (qualifiedSigner), and its qualifying data.
    /// @param type TPM2_ST_ATTEST_CERTIFY or TPM2_ST_ATTEST_QUOTE
    /// @throws Error(refused | malformed)
    TPMS_ATTEST checked(ByteView attest, const TPMT_SIGNATURE& signature, TPMI_ST_ATTEST type,
                        ByteView qualifying_data) const;

    /// Checks that the TPM has certified this key, require_born_here, and that it is the SSH key.
    /// @throws Error(refused | malformed)
    void require_certified(const CertifiedKey& key, ByteView qualifying_data) const;

  private:
    TPMI_ALG_PUBLIC type_;
    Bytes name_;
    Bytes qualified_name_;
    ssh::Verifier verifier_;
};

} // namespace sshtpm::attest
