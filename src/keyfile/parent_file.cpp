// Reads the storage key of another machine from a file.

#include "base/openssl.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"
#include "keyfile/wrap.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <openssl/core_names.h>
#include <openssl/pem.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t coordinate_width = 32; ///< of a coordinate of P-256

void require_storage_key(const TPMT_PUBLIC& area) {
    constexpr TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    if (area.type != TPM2_ALG_ECC)
        unsupported("the parent is an object of type " + algorithm_name(area.type) +
                    ", where an ECC storage key is wanted");
    if ((area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0)
        unsupported("the parent is a signing key, where a storage key is wanted");
    if ((area.objectAttributes & storage) != storage)
        unsupported("the parent is not a storage key: it is not restricted to decryption");
    const auto& ecc = area.parameters.eccDetail;
    if (ecc.curveID != TPM2_ECC_NIST_P256)
        unsupported("the parent is a key on " + curve_name(ecc.curveID) + ", where NIST P-256 is wanted");
    if (area.nameAlg != TPM2_ALG_SHA256)
        unsupported("the parent has the name algorithm " + algorithm_name(area.nameAlg) +
                    ", where SHA-256 is wanted");
    if (ecc.symmetric.algorithm != TPM2_ALG_AES || ecc.symmetric.keyBits.aes != 128 ||
        ecc.symmetric.mode.aes != TPM2_ALG_CFB)
        unsupported("the parent does not encrypt its keys with AES-128 in CFB mode");
    for (const auto* coordinate : {&area.unique.ecc.x, &area.unique.ecc.y})
        if (coordinate->size == 0 || coordinate->size > coordinate_width)
            malformed("the parent has a coordinate of " + std::to_string(coordinate->size) + " bytes");
}

/// Without this callback, PEM_read_bio would ask for the passphrase of an encrypted block on the terminal.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

openssl::Pkey read_spki(std::string_view text) {
    const openssl::Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    openssl::Pkey key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
    ERR_clear_error();
    if (!key)
        malformed("the parent is not a public key in PEM (\"PUBLIC KEY\")");
    return key;
}

void require_p256(const EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "EC") != 1)
        unsupported("the parent is " +
                    std::string(EVP_PKEY_is_a(key, "RSA") == 1 ? "an RSA key" : "no EC key") +
                    ", where the ECC storage key is wanted");
    std::array<char, 64> group{};
    std::size_t length = 0;
    const bool named = EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1;
    ERR_clear_error();
    if (!named || std::string_view(group.data(), length) != "prime256v1")
        unsupported("the parent is a key on another curve than NIST P-256");
}

TPMT_PUBLIC from_pem(std::string_view text) {
    if (text.find("PRIVATE KEY-----") != std::string_view::npos)
        malformed("the parent is given by a private key, where its public key is wanted");
    const auto key = read_spki(text);
    require_p256(key.get());
    const auto coordinate = [&](const char* name, TPM2B_ECC_PARAMETER& out) {
        BIGNUM* number = nullptr;
        const bool there = EVP_PKEY_get_bn_param(key.get(), name, &number) == 1;
        const openssl::Number owner(number);
        openssl::require(there && BN_bn2binpad(number, out.buffer, static_cast<int>(coordinate_width)) >= 0,
                         Errc::malformed, "the parent is not a point of its curve");
        out.size = coordinate_width;
    };
    auto area = standard_storage_key();
    coordinate(OSSL_PKEY_PARAM_EC_PUB_X, area.unique.ecc.x);
    coordinate(OSSL_PKEY_PARAM_EC_PUB_Y, area.unique.ecc.y);
    return area;
}

TPMT_PUBLIC unmarshalled(ByteView file) {
    try {
        return unmarshal_public(file);
    } catch (const Error& error) {
        throw error.about("the parent is neither a public key in PEM nor a TPM2B_PUBLIC");
    }
}

TPMT_PUBLIC from_tpm2b(ByteView file) {
    const auto area = unmarshalled(file);
    require_storage_key(area);
    return area;
}

} // namespace

TPMT_PUBLIC standard_storage_key() {
    TPMT_PUBLIC out{};
    out.type = TPM2_ALG_ECC;
    out.nameAlg = TPM2_ALG_SHA256;
    out.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                           TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                           TPMA_OBJECT_DECRYPT;
    auto& ecc = out.parameters.eccDetail;
    ecc.symmetric.algorithm = TPM2_ALG_AES;
    ecc.symmetric.keyBits.aes = 128;
    ecc.symmetric.mode.aes = TPM2_ALG_CFB;
    ecc.scheme.scheme = TPM2_ALG_NULL;
    ecc.curveID = TPM2_ECC_NIST_P256;
    ecc.kdf.scheme = TPM2_ALG_NULL;
    return out;
}

TPMT_PUBLIC parse_parent(ByteView file) {
    try {
        const auto text = text_of(file);
        return text.find("-----BEGIN ") != std::string_view::npos ? from_pem(text) : from_tpm2b(file);
    } catch (const Error& error) {
        throw Error(error.code(), error.what(),
                    "on the machine that the key is for: " + std::string(parent_command) +
                        "; or, of a key that the TPM keeps: tpm2_readpublic -c HANDLE -f tss -o PARENT");
    }
}

} // namespace sshtpm::keyfile
