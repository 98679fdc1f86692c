// SPDX-License-Identifier: MIT
#include "tpm/templates.hpp"

#include "keyfile/marshal.hpp"
#include "support/catch.hpp"

using namespace sshtpm;

TEST_CASE("the storage key templates are the TCG's") {
    const auto ecc = tpm::ecc_storage_key().publicArea;
    CHECK(ecc.objectAttributes == 0x30472);
    CHECK(ecc.parameters.eccDetail.curveID == TPM2_ECC_NIST_P256);
    CHECK(ecc.parameters.eccDetail.symmetric.keyBits.aes == 128);
    CHECK(ecc.unique.ecc.x.size == 0);
    CHECK(tpm::rsa_storage_key().publicArea.parameters.rsaDetail.keyBits == 2048);
}

TEST_CASE("an object is recognised as a storage key's by all but its unique field") {
    const auto storage_key = tpm::ecc_storage_key().publicArea;
    auto object = storage_key;
    object.unique.ecc.x.size = 32;
    object.unique.ecc.y.size = 32;
    CHECK(tpm::made_from(object, storage_key));

    object.objectAttributes &= ~TPMA_OBJECT_FIXEDTPM;
    CHECK_FALSE(tpm::made_from(object, storage_key));
    CHECK_FALSE(tpm::made_from(tpm::rsa_storage_key().publicArea, storage_key));
}

TEST_CASE("keys without a PIN are exempt from dictionary-attack protection, keys with one never are") {
    const tpm::KeyAlgorithm p256{};
    const auto open = tpm::signing_key(p256, tpm::DictionaryAttack::exempt).publicArea;
    const auto guarded = tpm::signing_key(p256, tpm::DictionaryAttack::guarded).publicArea;
    CHECK((open.objectAttributes & TPMA_OBJECT_NODA) != 0);
    CHECK((guarded.objectAttributes & TPMA_OBJECT_NODA) == 0);
}

TEST_CASE("keys are made to sign and to do nothing else") {
    for (const auto& algorithm : {tpm::KeyAlgorithm{}, tpm::KeyAlgorithm{TPM2_ALG_RSA, 0, 2048}}) {
        const auto area = tpm::signing_key(algorithm, tpm::DictionaryAttack::guarded).publicArea;
        CHECK((area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0);
        CHECK((area.objectAttributes & (TPMA_OBJECT_DECRYPT | TPMA_OBJECT_RESTRICTED)) == 0);
        CHECK((area.objectAttributes & TPMA_OBJECT_FIXEDTPM) != 0);
        CHECK((area.objectAttributes & TPMA_OBJECT_FIXEDPARENT) != 0);
    }
}

TEST_CASE("with decrypt, an RSA key differs in that alone, and an ECC key not at all") {
    for (const auto& algorithm : {tpm::KeyAlgorithm{}, tpm::KeyAlgorithm{TPM2_ALG_RSA, 0, 3072}}) {
        auto area = tpm::hierarchy_key(algorithm, tpm::RsaUse::sign_and_decrypt).publicArea;
        CHECK(((area.objectAttributes & TPMA_OBJECT_DECRYPT) != 0) == (algorithm.type == TPM2_ALG_RSA));
        area.objectAttributes &= ~TPMA_OBJECT_DECRYPT;
        CHECK(keyfile::marshal_public(area) ==
              keyfile::marshal_public(tpm::hierarchy_key(algorithm).publicArea));
    }
}

TEST_CASE("the templates of hierarchy keys stay as they are to the last bit") {
    // A TPM makes the key from these bytes: whoever changes them changes the host keys of everybody who has
    // such ones. TPMT_PUBLIC: type, nameAlg, objectAttributes, authPolicy, parameters, unique.
    const auto marshalled = [](const tpm::KeyAlgorithm& algorithm) {
        const auto tpm2b = keyfile::marshal_public(tpm::hierarchy_key(algorithm).publicArea);
        return hex(ByteView(tpm2b).subspan(2));
    };
    CHECK(marshalled({TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}) == "0023000b00040472000000100010"
                                                               "0003001000000000");
    CHECK(marshalled({TPM2_ALG_RSA, 0, 2048}) == "0001000b00040472000000100010"
                                                 "0800000000000000");
}
