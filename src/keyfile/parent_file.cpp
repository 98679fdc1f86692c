// SPDX-License-Identifier: MIT
// Reads the storage key of another machine from a file.

#include "base/openssl.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"

#include <array>
#include <string>

#include <openssl/core_names.h>
#include <openssl/pem.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t coordinate_width = 32; ///< of a coordinate of P-256

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
    std::array<char, 64> group{};
    std::size_t length = 0;
    const bool named = EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1;
    ERR_clear_error();
    if (!named || std::string_view(group.data(), length) != "prime256v1")
        unsupported("the parent is a key on another curve than NIST P-256");
}

/// @throws Error(malformed) if the key lacks this number, or it does not fit
template <SizedBuffer T>
void put_number(const EVP_PKEY* key, const char* name, std::size_t width, T& out) {
    BIGNUM* number = nullptr;
    const bool there = EVP_PKEY_get_bn_param(key, name, &number) == 1;
    const openssl::Number owner(number);
    openssl::require(there && BN_bn2binpad(number, out.buffer, static_cast<int>(width)) >= 0, Errc::malformed,
                     "the parent has a number that does not fit its key");
    out.size = static_cast<UINT16>(width);
}

TPMT_PUBLIC from_pem(std::string_view text) {
    if (text.find("PRIVATE KEY-----") != std::string_view::npos)
        malformed("the parent is given by a private key, where its public key is wanted");
    const auto key = read_spki(text);
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1) {
        auto area = standard_storage_key(TPM2_ALG_RSA);
        const auto bits = EVP_PKEY_get_bits(key.get());
        if (bits != area.parameters.rsaDetail.keyBits)
            unsupported("the parent is an RSA key of " + std::to_string(bits) +
                        " bits, where 2048 are wanted");
        put_number(key.get(), OSSL_PKEY_PARAM_RSA_N, area.parameters.rsaDetail.keyBits / 8, area.unique.rsa);
        return area;
    }
    if (EVP_PKEY_is_a(key.get(), "EC") != 1)
        unsupported("the parent is neither an EC nor an RSA key");
    require_p256(key.get());
    auto area = standard_storage_key(TPM2_ALG_ECC);
    put_number(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, coordinate_width, area.unique.ecc.x);
    put_number(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_width, area.unique.ecc.y);
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

TPMT_PUBLIC standard_storage_key(TPMI_ALG_PUBLIC type) {
    TPMT_PUBLIC out{};
    out.type = type;
    out.nameAlg = TPM2_ALG_SHA256;
    out.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                           TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                           TPMA_OBJECT_DECRYPT;
    auto& common = out.parameters.asymDetail; // the first members of eccDetail and of rsaDetail
    common.symmetric.algorithm = TPM2_ALG_AES;
    common.symmetric.keyBits.aes = 128;
    common.symmetric.mode.aes = TPM2_ALG_CFB;
    common.scheme.scheme = TPM2_ALG_NULL;
    if (type == TPM2_ALG_RSA) {
        out.parameters.rsaDetail.keyBits = 2048; // the exponent is zero: the TPM's default, 65537
    } else {
        out.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
        out.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    }
    return out;
}

TPMT_PUBLIC parse_parent(ByteView file) {
    try {
        const auto text = text_of(file);
        return text.find("-----BEGIN ") != std::string_view::npos ? from_pem(text) : from_tpm2b(file);
    } catch (const Error& error) {
        throw Error(error.code(), error.what(),
                    "on the machine that the key is for: " + std::string(parent_command) +
                        "; or, of a key that the TPM keeps: `tpm2_readpublic -c HANDLE -f tss -o PARENT`");
    }
}

} // namespace sshtpm::keyfile
