#include "tpm/templates.hpp"

#include "keyfile/wrap.hpp"

namespace sshtpm::tpm {

namespace {

TPMT_PUBLIC area(TPMI_ALG_PUBLIC type, TPMA_OBJECT attributes) {
    TPMT_PUBLIC out{};
    out.type = type;
    out.nameAlg = TPM2_ALG_SHA256;
    out.objectAttributes = attributes;
    return out;
}

TPMS_ECC_PARMS ecc_parameters(TPMI_ECC_CURVE curve, const TPMT_SYM_DEF_OBJECT& symmetric) {
    TPMS_ECC_PARMS out{};
    out.symmetric = symmetric;
    out.scheme.scheme = TPM2_ALG_NULL;
    out.curveID = curve;
    out.kdf.scheme = TPM2_ALG_NULL;
    return out;
}

TPMS_RSA_PARMS rsa_parameters(TPMI_RSA_KEY_BITS bits, const TPMT_SYM_DEF_OBJECT& symmetric) {
    TPMS_RSA_PARMS out{};
    out.symmetric = symmetric;
    out.scheme.scheme = TPM2_ALG_NULL;
    out.keyBits = bits;
    out.exponent = 0; // the TPM's default, 65537
    return out;
}

bool same_symmetric(const TPMT_SYM_DEF_OBJECT& a, const TPMT_SYM_DEF_OBJECT& b) {
    return a.algorithm == b.algorithm && a.keyBits.aes == b.keyBits.aes && a.mode.aes == b.mode.aes;
}

} // namespace

TPM2B_PUBLIC ecc_storage_key() {
    TPM2B_PUBLIC out{};
    out.publicArea = keyfile::standard_storage_key();
    return out;
}

TPM2B_PUBLIC rsa_storage_key() {
    const auto ecc = keyfile::standard_storage_key();
    TPM2B_PUBLIC out{};
    out.publicArea = area(TPM2_ALG_RSA, ecc.objectAttributes);
    out.publicArea.parameters.rsaDetail = rsa_parameters(2048, ecc.parameters.eccDetail.symmetric);
    return out;
}

TPM2B_PUBLIC legacy_ecc_storage_key() {
    auto out = ecc_storage_key();
    out.publicArea.unique.ecc.x.size = 32; // the bytes are zero already
    out.publicArea.unique.ecc.y.size = 32;
    return out;
}

TPM2B_PUBLIC legacy_rsa_storage_key() {
    auto out = rsa_storage_key();
    out.publicArea.unique.rsa.size = 256;
    return out;
}

bool made_from(const TPMT_PUBLIC& object, const TPMT_PUBLIC& storage_key) {
    if (object.type != storage_key.type || object.nameAlg != storage_key.nameAlg ||
        object.objectAttributes != storage_key.objectAttributes ||
        object.authPolicy.size != storage_key.authPolicy.size)
        return false;
    if (object.type == TPM2_ALG_ECC) {
        const auto& a = object.parameters.eccDetail;
        const auto& b = storage_key.parameters.eccDetail;
        return same_symmetric(a.symmetric, b.symmetric) && a.scheme.scheme == b.scheme.scheme &&
               a.curveID == b.curveID && a.kdf.scheme == b.kdf.scheme;
    }
    const auto& a = object.parameters.rsaDetail;
    const auto& b = storage_key.parameters.rsaDetail;
    return same_symmetric(a.symmetric, b.symmetric) && a.scheme.scheme == b.scheme.scheme &&
           a.keyBits == b.keyBits && a.exponent == b.exponent;
}

TPM2B_PUBLIC signing_key(const KeyAlgorithm& algorithm, DictionaryAttack dictionary_attack) {
    constexpr TPMT_SYM_DEF_OBJECT no_symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    TPMA_OBJECT attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                             TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                             TPMA_OBJECT_SIGN_ENCRYPT;
    if (dictionary_attack == DictionaryAttack::exempt)
        attributes |= TPMA_OBJECT_NODA;
    TPM2B_PUBLIC out{};
    out.publicArea = area(algorithm.type, attributes);
    if (algorithm.type == TPM2_ALG_ECC)
        out.publicArea.parameters.eccDetail = ecc_parameters(algorithm.curve, no_symmetric);
    else
        out.publicArea.parameters.rsaDetail = rsa_parameters(algorithm.bits, no_symmetric);
    return out;
}

TPM2B_PUBLIC hierarchy_key(const KeyAlgorithm& algorithm) {
    return signing_key(algorithm, DictionaryAttack::exempt);
}

} // namespace sshtpm::tpm
