// SPDX-License-Identifier: MIT
#include "attest/seal.hpp"

#include "base/error.hpp"
#include "keyfile/credential.hpp"
#include "keyfile/kdf.hpp"
#include "keyfile/object_name.hpp"
#include "wire/writer.hpp"

#include <openssl/core_names.h>
#include <sodium.h>

namespace sshtpm::attest {

namespace {

constexpr std::size_t secret_size = 32;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::string_view key_label = "ssh-tpm seal 1";
constexpr std::string_view receipt_label = "ssh-tpm attestation receipt 1";

/// HKDF-SHA-256 (RFC 5869) without a salt.
Secret box_key(const Secret& secret) {
    static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == secret_size);
    return keyfile::derive_key("HKDF",
                               {keyfile::text_param(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                                keyfile::bytes_param(OSSL_KDF_PARAM_KEY, secret.view()),
                                keyfile::bytes_param(OSSL_KDF_PARAM_INFO, bytes_of(key_label)),
                                OSSL_PARAM_construct_end()},
                               secret_size);
}

Bytes associated_data(const Sealed& sealed, ByteView ek_name, ByteView ak_name) {
    return wire::Writer()
        .text(sealed_format)
        .string(sealed.request)
        .string(ek_name)
        .string(ak_name)
        .string(sealed.credential)
        .bytes();
}

Bytes encrypt(const Secret& key, ByteView clear, ByteView associated) {
    Bytes box(nonce_size + clear.size() + tag_size);
    randombytes_buf(box.data(), nonce_size);
    crypto_aead_xchacha20poly1305_ietf_encrypt(&box[nonce_size], nullptr, clear.data(), clear.size(),
                                               associated.data(), associated.size(), nullptr, box.data(),
                                               key.view().data());
    return box;
}

std::string decrypt(const Secret& key, ByteView box, ByteView associated) {
    if (box.size() < nonce_size + tag_size)
        malformed("the response has no certificates");
    const auto text = box.subspan(nonce_size);
    Bytes clear(text.size() - tag_size);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(clear.data(), nullptr, nullptr, text.data(), text.size(),
                                                   associated.data(), associated.size(), box.data(),
                                                   key.view().data()) != 0)
        refuse("the response was changed after it was sealed");
    return std::string(text_of(clear));
}

std::string receipt_of(const Secret& key, const Digest& request) {
    Bytes message = copy_of(bytes_of(receipt_label));
    append(message, request);
    Digest mac{};
    crypto_auth_hmacsha256(mac.data(), message.data(), message.size(), key.view().data());
    return hex(mac);
}

} // namespace

SealedAnswer seal(const Request& request, std::string_view request_text, std::string_view certificates) {
    Secret secret(secret_size);
    randombytes_buf(secret.room().data(), secret_size);
    secret.grow(secret_size);
    const auto ak_name = keyfile::object_name(request.ak);
    SealedAnswer answer{
        .document = {.request = sha256(bytes_of(request_text)),
                     .credential = keyfile::to_file(keyfile::make_credential(request.ek, ak_name, secret)),
                     .box = {}},
        .receipt = {}};
    const auto key = box_key(secret);
    auto& document = answer.document;
    document.box = encrypt(key, bytes_of(certificates),
                           associated_data(document, keyfile::object_name(request.ek), ak_name));
    answer.receipt = receipt_of(key, document.request);
    return answer;
}

Opened open(const Sealed& sealed, const Secret& secret, ByteView ek_name, ByteView ak_name) {
    if (secret.size() != secret_size)
        malformed("the secret of the response is not 32 bytes long");
    const auto key = box_key(secret);
    return {.certificates = decrypt(key, sealed.box, associated_data(sealed, ek_name, ak_name)),
            .receipt = receipt_of(key, sealed.request)};
}

} // namespace sshtpm::attest
