// SPDX-License-Identifier: MIT
#include "tpm/templates.hpp"

#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"

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

} // namespace

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
