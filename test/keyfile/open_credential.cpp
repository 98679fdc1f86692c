// SPDX-License-Identifier: MIT
#include "open_credential.hpp"

#include "base/openssl.hpp"
#include "keyfile/marshal.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

using namespace sshtpm;

namespace keyfile_test {

namespace {

void check(bool holds, const char* words) {
    if (!holds)
        throw std::runtime_error(words);
}

Bytes joined(std::initializer_list<ByteView> parts) {
    Bytes all;
    for (const auto part : parts)
        append(all, part);
    return all;
}

Bytes number(std::size_t value) {
    return {0, 0, static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}

const char* digest_name(const TPMT_PUBLIC& key) {
    return key.nameAlg == TPM2_ALG_SHA256 ? "SHA256" : key.nameAlg == TPM2_ALG_SHA384 ? "SHA384" : "SHA512";
}

Bytes hashed(const char* digest, ByteView data) {
    Bytes out(EVP_MAX_MD_SIZE);
    std::size_t length = 0;
    check(EVP_Q_digest(nullptr, digest, nullptr, data.data(), data.size(), out.data(), &length) == 1, "hash");
    out.resize(length);
    return out;
}

Bytes authenticated(const char* digest, ByteView key, ByteView data) {
    Bytes out(EVP_MAX_MD_SIZE);
    std::size_t length = 0;
    check(EVP_Q_mac(nullptr, "HMAC", nullptr, digest, nullptr, key.data(), key.size(), data.data(),
                    data.size(), out.data(), out.size(), &length) != nullptr,
          "HMAC");
    out.resize(length);
    return out;
}

/// KDFa: one round is enough for all sizes here.
Bytes derived(const char* digest, ByteView seed, std::string_view label, ByteView context, std::size_t size) {
    const auto data = joined({number(1), bytes_of(label), Bytes{0}, context, number(size * 8)});
    auto key = authenticated(digest, seed, data);
    key.resize(size);
    return key;
}

Bytes seed_by_oaep(EVP_PKEY* key, const char* digest, ByteView secret) {
    Bytes label = copy_of(bytes_of("IDENTITY"));
    label.push_back(0);
    std::string padding = OSSL_PKEY_RSA_PAD_MODE_OAEP, hash = digest;
    const std::array params{
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, padding.data(), 0),
        OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, hash.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label.data(), label.size()),
        OSSL_PARAM_construct_end()};
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    Bytes seed(512);
    std::size_t length = seed.size();
    check(EVP_PKEY_decrypt_init_ex(context.get(), params.data()) == 1 &&
              EVP_PKEY_decrypt(context.get(), seed.data(), &length, secret.data(), secret.size()) == 1,
          "OAEP");
    seed.resize(length);
    return seed;
}

Bytes seed_by_ecdh(EVP_PKEY* key, const char* digest, const TPMS_ECC_POINT& ours, ByteView secret) {
    const std::size_t width = (static_cast<std::size_t>(EVP_PKEY_get_bits(key)) + 7) / 8;
    const std::size_t x_size = std::size_t{secret[0]} << 8U | secret[1];
    const auto x = fixed_width(secret.subspan(2, x_size), width);
    const auto y = fixed_width(keyfile::content_of_tpm2b(secret.subspan(2 + x_size)), width);
    const auto point = joined({Bytes{4}, x, y});
    const openssl::Pkey peer(EVP_PKEY_new());
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    Bytes z(width);
    std::size_t length = z.size();
    check(EVP_PKEY_copy_parameters(peer.get(), key) == 1 &&
              EVP_PKEY_set1_encoded_public_key(peer.get(), point.data(), point.size()) == 1 &&
              EVP_PKEY_derive_init(context.get()) == 1 &&
              EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
              EVP_PKEY_derive(context.get(), z.data(), &length) == 1 && length == width,
          "ECDH");
    const auto our_x = fixed_width(keyfile::view_of(ours.x), width);
    return hashed(digest, joined({number(1), z, bytes_of("IDENTITY"), Bytes{0}, x, our_x}));
}

} // namespace

Bytes open_credential(const std::string& pem, const TPMT_PUBLIC& endorsement_key, ByteView name,
                      const keyfile::Credential& credential) {
    const openssl::Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const openssl::Pkey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    check(key != nullptr, "PEM");
    const auto* const digest = digest_name(endorsement_key);
    const auto secret = keyfile::view_of(credential.secret);
    const auto seed = endorsement_key.type == TPM2_ALG_RSA
                          ? seed_by_oaep(key.get(), digest, secret)
                          : seed_by_ecdh(key.get(), digest, endorsement_key.unique.ecc, secret);

    const auto id_object = keyfile::view_of(credential.id_object);
    const auto digest_size = hashed(digest, {}).size();
    check(seed.size() == digest_size && id_object.size() > 2 + digest_size, "sizes");
    const auto integrity = keyfile::content_of_tpm2b(id_object.first(2 + digest_size));
    const auto encrypted = id_object.subspan(2 + digest_size);
    const auto integrity_key = derived(digest, seed, "INTEGRITY", {}, digest_size);
    check(equal(integrity, authenticated(digest, integrity_key, joined({encrypted, name}))), "integrity");

    const std::size_t key_size = endorsement_key.parameters.asymDetail.symmetric.keyBits.aes / 8U;
    const auto cipher_key = derived(digest, seed, "STORAGE", name, key_size);
    const openssl::CipherContext context(EVP_CIPHER_CTX_new());
    const std::array<std::uint8_t, 16> iv{};
    Bytes clear(encrypted.size());
    int length = 0;
    check(EVP_DecryptInit_ex2(context.get(), key_size == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(),
                              cipher_key.data(), iv.data(), nullptr) == 1 &&
              EVP_DecryptUpdate(context.get(), clear.data(), &length, encrypted.data(),
                                static_cast<int>(encrypted.size())) == 1,
          "AES");
    return copy_of(keyfile::content_of_tpm2b(clear));
}

} // namespace keyfile_test
