// SPDX-License-Identifier: MIT
#include "keyfile/usable.hpp"

#include "base/error.hpp"
#include "parts.hpp"
#include "support/test.hpp"

using namespace sshtpm;
using namespace support;
using keyfile::require_signing_key;
using keyfile_test::key_from;

namespace {

/// Why SSH cannot use the key: "" when it can. Every reason is "unsupported" unless the key is broken.
std::string reason(const keyfile::KeyFile& key, Errc expected = Errc::unsupported) {
    CHECK(refusal(require_signing_key, key).value_or(expected) == expected);
    return complaint(require_signing_key, key);
}

} // namespace

TEST_CASE("signing keys of every writer can be used") {
    const auto* vector = GENERATE(
        "openssl-ec-p256.tpm", "openssl-ec-p384.tpm", "openssl-ec-p521.tpm", "openssl-ec-p256-pin.tpm",
        "openssl-ec-p256-persistent.tpm", "openssl-rsa-2048.tpm", "openssl-rsa-2048-pin.tpm",
        "openssl-rsa-3072.tpm", "go-ec-p256.tpm", "go-ec-p256-pin.tpm", "go-ec-p384.tpm", "go-ec-p521.tpm",
        "go-rsa-2048.tpm", "go-rsa-2048-pin.tpm", "go-ec-p256-endorsement.tpm", "go-ec-p256-narrow.tpm",
        "tools-ec-p256-ecdsa.tpm", "tools-rsa-2048-rsassa-sha256.tpm");
    INFO(vector);
    CHECK(reason(key_from(vector)).empty());
}

TEST_CASE("a policy does not matter where the PIN is enough") {
    CHECK(reason(key_from("tools-ec-p256-policy-or-pin.tpm")).empty());
    CHECK(reason(key_from("go-ec-p256-policies.tpm")).empty());
}

TEST_CASE("keys that a policy alone authorises are refused with its commands") {
    CHECK_THAT(reason(key_from("tools-ec-p256-policy.tpm")),
               contains("under a policy only, which the file does not"));
    CHECK_THAT(reason(key_from("tools-ec-p256-unusable.tpm")), contains("nothing can authorise"));
    auto key = key_from("go-ec-p256-policies.tpm");
    key.public_area.objectAttributes &= ~TPMA_OBJECT_USERWITHAUTH;
    CHECK(reason(key) == "a key that is used under a policy only (TPM2_PolicyPCR, TPM2_PolicyAuthValue)");
    key.policy = {{0x20000000, {}}};
    CHECK_THAT(reason(key), contains("(command 0x20000000, TPM2_PolicyPCR, TPM2_PolicyAuthValue)"));
}

TEST_CASE("what is not a signing key of SSH is refused by what it is") {
    const auto [vector, words] = GENERATE(table<const char*, const char*>({
        {"go-ec-p256-importable.tpm", "has to import first"},
        {"tools-sealed.tpm", "an object of type KEYEDHASH"},
        {"tools-hmac.tpm", "an object of type KEYEDHASH"},
        {"tools-aes.tpm", "an object of type SYMCIPHER"},
        {"tools-ec-p256-decrypt.tpm", "sign attribute is clear"},
        {"tools-storage.tpm", "sign attribute is clear"},
        {"tools-ec-p256-restricted.tpm", "a restricted key"},
        {"tools-ec-p256-x509sign.tpm", "x509sign"},
        {"tools-ec-p224.tpm", "the curve NIST P-224"},
        {"tools-ec-p256-schnorr.tpm", "the scheme ECSCHNORR"},
        {"tools-ec-p256-ecdsa-sha384.tpm", "signs with SHA-384, where SSH needs SHA-256 for NIST P-256"},
        {"tools-rsa-2048-rsapss.tpm", "the scheme RSAPSS, where SSH needs RSASSA"},
        {"tools-rsa-1024.tpm", "an RSA key of 1024 bits"},
    }));
    CHECK_THAT(reason(key_from(vector)), contains(words));
    CHECK(reason(key_from("go-sealed.tpm")) == "sealed data, not a key");
    CHECK_THAT(thrown(require_signing_key, key_from("go-ec-p256-importable.tpm")).hint(),
               contains("ssh-tpm keygen --import"));
}

TEST_CASE("an RSA key whose scheme has another hash than SHA-256 or SHA-512 is refused") {
    auto key = key_from("tools-rsa-2048-rsassa-sha256.tpm");
    auto& hash = key.public_area.parameters.rsaDetail.scheme.details.rsassa.hashAlg;
    hash = TPM2_ALG_SHA512;
    CHECK(reason(key).empty());
    for (const TPMI_ALG_HASH other : {TPM2_ALG_SHA1, TPM2_ALG_SHA384}) {
        hash = other;
        CHECK_THAT(reason(key), contains("where SSH needs SHA-256 or SHA-512"));
    }
}

TEST_CASE("an RSA key that only decrypts can sign if it is neither restricted nor has a scheme") {
    auto key = key_from("go-rsa-2048.tpm");
    auto& area = key.public_area;
    area.objectAttributes |= TPMA_OBJECT_DECRYPT;
    CHECK(reason(key).empty());
    area.objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
    CHECK(reason(key).empty());
    area.objectAttributes |= TPMA_OBJECT_RESTRICTED;
    CHECK_THAT(reason(key), contains("sign attribute is clear"));
    area.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
    for (const TPMI_ALG_ASYM_SCHEME scheme : {TPM2_ALG_RSAES, TPM2_ALG_OAEP, TPM2_ALG_RSASSA}) {
        area.parameters.rsaDetail.scheme.scheme = scheme;
        CHECK_THAT(reason(key), contains("only decrypts, with the scheme"));
    }
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    area.objectAttributes &= ~TPMA_OBJECT_DECRYPT;
    CHECK_THAT(reason(key), contains("sign attribute is clear"));
}

TEST_CASE("a key with a fixed scheme signs with its hash alone") {
    CHECK(keyfile::fixed_hash(key_from("tools-rsa-2048-rsassa-sha256.tpm").public_area) == TPM2_ALG_SHA256);
    CHECK(keyfile::fixed_hash(key_from("tools-ec-p256-ecdsa.tpm").public_area) == TPM2_ALG_SHA256);
    CHECK_FALSE(keyfile::fixed_hash(key_from("openssl-rsa-2048.tpm").public_area));
    CHECK_FALSE(keyfile::fixed_hash(key_from("openssl-ec-p256.tpm").public_area));
}

TEST_CASE("RSA keys of other sizes and exponents are refused") {
    auto key = key_from("openssl-rsa-2048.tpm");
    auto& parameters = key.public_area.parameters.rsaDetail;
    parameters.exponent = 65537;
    CHECK(reason(key).empty());
    parameters.exponent = 3;
    CHECK_THAT(reason(key), contains("the public exponent 3"));
    parameters.exponent = 0;
    for (const UINT16 bits : {UINT16{0}, UINT16{2047}, UINT16{2056}, UINT16{8192}}) {
        parameters.keyBits = bits;
        CHECK_THAT(reason(key), contains("an RSA key of " + std::to_string(bits) + " bits"));
    }
}

TEST_CASE("an RSA modulus that is not of the key's size is refused") {
    auto key = key_from("openssl-rsa-2048.tpm");
    key.public_area.parameters.rsaDetail.keyBits = 3072;
    CHECK_THAT(reason(key, Errc::malformed), contains("not of 3072 bits"));
    key.public_area.parameters.rsaDetail.keyBits = 2048;
    key.public_area.unique.rsa.buffer[0] = 0x7F;
    CHECK_THAT(reason(key, Errc::malformed), contains("not of 2048 bits"));
    key.public_area.unique.rsa.size = 0;
    CHECK_THAT(reason(key, Errc::malformed), contains("not of 2048 bits"));
}

TEST_CASE("coordinates may be narrower than the field and not wider") {
    auto key = key_from("openssl-ec-p256.tpm");
    auto& point = key.public_area.unique.ecc;
    point.x.size = 1;
    CHECK(reason(key).empty());
    point.x.size = 0;
    CHECK_THAT(reason(key, Errc::malformed), contains("a coordinate of 0 bytes"));
    point.x.size = 32;
    point.y.size = 33;
    CHECK_THAT(reason(key, Errc::malformed), contains("a coordinate of 33 bytes on NIST P-256"));
}
