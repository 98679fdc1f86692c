// SPDX-License-Identifier: MIT
#include "attest/evidence.hpp"

#include "base/error.hpp"
#include "identity/convert.hpp"
#include "keyfile/attest_structure.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/object_name.hpp"
#include "ssh/digest.hpp"
#include "tpm/templates.hpp"
#include "wire/writer.hpp"

#include <array>

namespace sshtpm::attest {

namespace {

const TPMT_PUBLIC& require_template(const TPMT_PUBLIC& area) {
    const bool ours = (area.type == TPM2_ALG_ECC || area.type == TPM2_ALG_RSA) &&
                      tpm::made_from(area, tpm::attestation_key(area.type).publicArea);
    if (!ours)
        refuse("the attestation key does not have the template of ssh-tpm");
    return area;
}

/// The qualified name of a primary key of the endorsement hierarchy (TPM 2.0 Part 1, 26.5), nameAlg SHA-256.
Bytes qualified_name_of(ByteView name) {
    Bytes out(name.begin(), name.begin() + 2); // nameAlg
    append(out, sha256(wire::Writer().uint32(TPM2_RH_ENDORSEMENT).raw(name).bytes()));
    return out;
}

/// ECDSA or RSASSA with SHA-256, as the key's template says.
bool fits(const TPMT_SIGNATURE& signature, TPMI_ALG_PUBLIC type) {
    return signature.sigAlg == (type == TPM2_ALG_ECC ? TPM2_ALG_ECDSA : TPM2_ALG_RSASSA) &&
           signature.signature.any.hashAlg == TPM2_ALG_SHA256;
}

constexpr unsigned least_rsa_bits = 2048;

struct Attribute {
    TPMA_OBJECT bit;
    const char* name;
    bool wanted;
};

constexpr std::array required_attributes{
    Attribute{TPMA_OBJECT_FIXEDTPM, "fixedTPM", true},
    Attribute{TPMA_OBJECT_FIXEDPARENT, "fixedParent", true},
    Attribute{TPMA_OBJECT_SENSITIVEDATAORIGIN, "sensitiveDataOrigin", true},
    Attribute{TPMA_OBJECT_SIGN_ENCRYPT, "sign", true},
    Attribute{TPMA_OBJECT_RESTRICTED, "restricted", false},
    Attribute{TPMA_OBJECT_ADMINWITHPOLICY, "adminWithPolicy", false},
};

} // namespace

void require_born_here(const TPMT_PUBLIC& area) {
    for (const auto& [bit, name, wanted] : required_attributes)
        if (((area.objectAttributes & bit) != 0) != wanted)
            refuse("the key's attribute " + std::string(name) + " is " + (wanted ? "clear" : "set"));
}

AttestationKey::AttestationKey(const TPMT_PUBLIC& area)
    : type_(require_template(area).type), name_(keyfile::object_name(area)),
      qualified_name_(qualified_name_of(name_)), verifier_(identity::to_public_key(area)) {}

TPMS_ATTEST AttestationKey::checked(ByteView attest, const TPMT_SIGNATURE& signature, TPMI_ST_ATTEST type,
                                    ByteView qualifying_data) const {
    const auto digest = ssh::digest(ssh::Hash::sha256, attest);
    if (!fits(signature, type_) ||
        !verifier_.verify(ssh::Hash::sha256, digest, identity::to_signature(signature)))
        refuse("the attestation key has not made the signature");
    const auto statement = keyfile::unmarshal_attest(attest);
    if (statement.type != type)
        refuse("the TPM's statement is of another type");
    if (!equal(keyfile::view_of(statement.extraData), qualifying_data))
        refuse("the TPM's statement is for another document: its qualifying data differ");
    if (!equal(keyfile::view_of(statement.qualifiedSigner), qualified_name_))
        refuse("the statement is not by a key of the endorsement hierarchy: its qualifiedSigner differs");
    return statement;
}

void AttestationKey::require_certified(const CertifiedKey& key, ByteView qualifying_data) const {
    const auto statement = checked(key.attest, key.signature, TPM2_ST_ATTEST_CERTIFY, qualifying_data);
    if (!equal(keyfile::view_of(statement.attested.certify.name), keyfile::object_name(key.area)))
        refuse("the TPM has certified another key: its Name differs");
    require_born_here(key.area);
    if (identity::to_public_key(key.area) != key.ssh)
        refuse("the ssh key is another one than the TPM's");
    if (key.ssh.type() == ssh::KeyType::rsa && key.ssh.bits() < least_rsa_bits)
        refuse("an RSA key of less than " + std::to_string(least_rsa_bits) + " bits");
}

} // namespace sshtpm::attest
