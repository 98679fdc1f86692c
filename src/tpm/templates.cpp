// SPDX-License-Identifier: MIT
#include "tpm/templates.hpp"

#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sshtpm::tpm {

namespace {

TPM2B_PUBLIC key_template(const KeyAlgorithm& algorithm, TPMA_OBJECT attributes,
                          const TPMT_SYM_DEF_OBJECT& symmetric) {
    TPM2B_PUBLIC out{};
    auto& area = out.publicArea;
    area.type = algorithm.type;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = attributes;
    if (algorithm.type == TPM2_ALG_ECC) {
        auto& ecc = area.parameters.eccDetail;
        ecc.symmetric = symmetric;
        ecc.scheme.scheme = TPM2_ALG_NULL;
        ecc.curveID = algorithm.curve;
        ecc.kdf.scheme = TPM2_ALG_NULL;
    } else {
        auto& rsa = area.parameters.rsaDetail;
        rsa.symmetric = symmetric;
        rsa.scheme.scheme = TPM2_ALG_NULL;
        rsa.keyBits = algorithm.bits;
        rsa.exponent = 0; // the TPM's default, 65537
    }
    return out;
}

/// The authPolicy of endorsement keys: PolicyA is TPM2_PolicySecret with the endorsement hierarchy, PolicyB
/// is PolicyA or a policy in the NV index of PolicyC.
constexpr std::array<std::uint8_t, 32> policy_a_sha256{
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
constexpr std::array<std::uint8_t, 32> policy_b_sha256{
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
    0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0};
constexpr std::array<std::uint8_t, 48> policy_b_sha384{
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12};
constexpr std::array<std::uint8_t, 64> policy_b_sha512{
    0xb8, 0x22, 0x1c, 0xa6, 0x9e, 0x85, 0x50, 0xa4, 0x91, 0x4d, 0xe3, 0xfa, 0xa6, 0xa1, 0x8c, 0x07,
    0x2c, 0xc0, 0x12, 0x08, 0x07, 0x3a, 0x92, 0x8d, 0x5d, 0x66, 0xd5, 0x9e, 0xf7, 0x9e, 0x49, 0xa4,
    0x29, 0xc4, 0x1a, 0x6b, 0x26, 0x95, 0x71, 0xd5, 0x7e, 0xdb, 0x25, 0xfb, 0xdb, 0x18, 0x38, 0x42,
    0x56, 0x08, 0xb4, 0x13, 0xcd, 0x61, 0x6a, 0x5f, 0x6d, 0xb5, 0xb6, 0x07, 0x1a, 0xf9, 0x9b, 0xea};

/// The modulus with its highest bit, or the coordinates in the width of the curve (TPM 2.0 Part 1, C.8).
bool has_full_width(const TPMT_PUBLIC& area) {
    if (area.type == TPM2_ALG_RSA)
        return area.unique.rsa.size * 8U == area.parameters.rsaDetail.keyBits &&
               area.unique.rsa.buffer[0] >= 0x80;
    const auto curve = area.parameters.eccDetail.curveID;
    const unsigned width = curve == TPM2_ECC_NIST_P256 ? 32 : curve == TPM2_ECC_NIST_P384 ? 48 : 66;
    return area.unique.ecc.x.size == width && area.unique.ecc.y.size == width;
}

constexpr TPMA_OBJECT restricted_to_tpm =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED;

EndorsementKey endorsement_key(TPM2_HANDLE certificate, const KeyAlgorithm& algorithm,
                               TPMI_ALG_HASH name_hash, UINT16 aes_bits, ByteView policy) {
    constexpr TPM2_HANDLE high_range = 0x01c00012;
    const bool high = certificate >= high_range;
    const TPMA_OBJECT attributes = restricted_to_tpm | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_DECRYPT |
                                   (high ? TPMA_OBJECT_USERWITHAUTH : 0);
    auto key = key_template(
        algorithm, attributes,
        {.algorithm = TPM2_ALG_AES, .keyBits = {.aes = aes_bits}, .mode = {.aes = TPM2_ALG_CFB}});
    auto& area = key.publicArea;
    area.nameAlg = name_hash;
    keyfile::put(policy, area.authPolicy);
    if (!high && algorithm.type == TPM2_ALG_RSA) // the low range has zeros in `unique`
        area.unique.rsa.size = 256;
    else if (!high)
        area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
    return {certificate, algorithm, high, key};
}

} // namespace

std::span<const EndorsementKey> endorsement_keys() {
    static const std::array keys{
        endorsement_key(0x01c00014, {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}, TPM2_ALG_SHA256, 128,
                        policy_b_sha256),
        endorsement_key(0x01c00016, {TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0}, TPM2_ALG_SHA384, 256,
                        policy_b_sha384),
        endorsement_key(0x01c00018, {TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0}, TPM2_ALG_SHA512, 256,
                        policy_b_sha512),
        endorsement_key(0x01c00012, {TPM2_ALG_RSA, 0, 2048}, TPM2_ALG_SHA256, 128, policy_b_sha256),
        endorsement_key(0x01c0001c, {TPM2_ALG_RSA, 0, 3072}, TPM2_ALG_SHA384, 256, policy_b_sha384),
        endorsement_key(0x01c0001e, {TPM2_ALG_RSA, 0, 4096}, TPM2_ALG_SHA384, 256, policy_b_sha384),
        endorsement_key(0x01c0000a, {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}, TPM2_ALG_SHA256, 128,
                        policy_a_sha256),
        endorsement_key(0x01c00002, {TPM2_ALG_RSA, 0, 2048}, TPM2_ALG_SHA256, 128, policy_a_sha256),
    };
    return keys;
}

const EndorsementKey* endorsement_key_like(const TPMT_PUBLIC& area) {
    const auto keys = endorsement_keys();
    const auto found = std::ranges::find_if(
        keys, [&](const EndorsementKey& key) { return made_from(area, key.key_template.publicArea); });
    return found == keys.end() || !has_full_width(area) ? nullptr : &*found;
}

TPM2B_PUBLIC attestation_key(TPMI_ALG_PUBLIC type) {
    constexpr std::array<std::uint8_t, 32> label_digest{
        0xc2, 0xb2, 0x99, 0x68, 0x25, 0x27, 0xa5, 0x83, 0xea, 0x5a, 0xf7, 0x17, 0xc2, 0x5b, 0xe5, 0xc9,
        0x7f, 0x3e, 0x23, 0xb1, 0xb5, 0x47, 0xcc, 0x57, 0xcb, 0x88, 0xf2, 0xf8, 0xbd, 0x15, 0x9c, 0xa3};
    constexpr TPMT_SYM_DEF_OBJECT no_symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    const KeyAlgorithm algorithm =
        type == TPM2_ALG_ECC ? KeyAlgorithm{} : KeyAlgorithm{.type = TPM2_ALG_RSA, .curve = 0, .bits = 2048};
    auto key = key_template(
        algorithm, restricted_to_tpm | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA,
        no_symmetric);
    auto& area = key.publicArea;
    if (type == TPM2_ALG_ECC) {
        area.parameters.eccDetail.scheme = {.scheme = TPM2_ALG_ECDSA,
                                            .details = {.ecdsa = {TPM2_ALG_SHA256}}};
        keyfile::put(label_digest, area.unique.ecc.x);
    } else {
        area.parameters.rsaDetail.scheme = {.scheme = TPM2_ALG_RSASSA,
                                            .details = {.rsassa = {TPM2_ALG_SHA256}}};
        keyfile::put(label_digest, area.unique.rsa);
    }
    return key;
}

TPM2B_PUBLIC ecc_storage_key() {
    return {.size = 0, .publicArea = keyfile::standard_storage_key(TPM2_ALG_ECC)};
}

TPM2B_PUBLIC rsa_storage_key() {
    return {.size = 0, .publicArea = keyfile::standard_storage_key(TPM2_ALG_RSA)};
}

bool made_from(const TPMT_PUBLIC& object, const TPMT_PUBLIC& storage_key) {
    auto without_key = object;
    without_key.unique = storage_key.unique;
    return object.type == storage_key.type &&
           equal(keyfile::marshal_public(without_key), keyfile::marshal_public(storage_key));
}

TPM2B_PUBLIC signing_key(const KeyAlgorithm& algorithm, DictionaryAttack dictionary_attack, RsaUse rsa_use) {
    constexpr TPMT_SYM_DEF_OBJECT no_symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    constexpr TPMA_OBJECT attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                       TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                       TPMA_OBJECT_SIGN_ENCRYPT;
    const bool exempt = dictionary_attack == DictionaryAttack::exempt;
    const bool decrypts = algorithm.type == TPM2_ALG_RSA && rsa_use == RsaUse::sign_and_decrypt;
    return key_template(algorithm,
                        attributes | (exempt ? TPMA_OBJECT_NODA : 0) | (decrypts ? TPMA_OBJECT_DECRYPT : 0),
                        no_symmetric);
}

TPM2B_PUBLIC hierarchy_key(const KeyAlgorithm& algorithm, RsaUse rsa_use) {
    return signing_key(algorithm, DictionaryAttack::exempt, rsa_use);
}

} // namespace sshtpm::tpm
