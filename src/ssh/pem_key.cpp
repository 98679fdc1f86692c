// SPDX-License-Identifier: MIT
// Private keys in PEM. This reads each block with OpenSSL, because PEM_read_bio_PrivateKey would return null
// alike for an unknown kind of key, for an encrypted key without a passphrase, and for a wrong passphrase.

#include "base/printable.hpp"
#include "ssh/key_container.hpp"

#include <array>
#include <cstring>

#include <openssl/core_names.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

namespace sshtpm::ssh {

namespace {

using EncryptedInfo = openssl::Owner<X509_SIG, X509_SIG_free>;
using PrivateInfo = openssl::Owner<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;

[[noreturn]] void malformed_pem(const std::string& message) {
    ERR_clear_error();
    malformed(message);
}

/// @returns null if the key does not have this number
openssl::Number number(const EVP_PKEY* key, const char* name) {
    auto owner = openssl::number_of({});
    auto* value = owner.get();
    if (EVP_PKEY_get_bn_param(key, name, &value) == 1)
        return owner;
    ERR_clear_error();
    return nullptr;
}

openssl::Number required(const EVP_PKEY* key, const char* name) {
    auto value = number(key, name);
    if (!value)
        malformed_pem(damaged_private_key);
    return value;
}

KeyType require_curve(const EVP_PKEY* key) {
    std::array<char, 64> name{};
    std::size_t length = 0;
    if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &length) != 1) {
        ERR_clear_error();
        refuse_type("EC, on a curve without a name");
    }
    const std::string_view curve(name.data(), length);
    if (const auto type = openssl::curve_of_group(curve))
        return *type;
    refuse_type("EC on the curve " + std::string(curve));
}

PrivateKey ecdsa_key(const EVP_PKEY* key) {
    const auto type = require_curve(key);
    const auto x = required(key, OSSL_PKEY_PARAM_EC_PUB_X), y = required(key, OSSL_PKEY_PARAM_EC_PUB_Y);
    auto public_key = PublicKey::ecdsa(type, openssl::bytes_of(x.get()), openssl::bytes_of(y.get()));
    return ecdsa_private_key(std::move(public_key), required(key, OSSL_PKEY_PARAM_PRIV_KEY).get());
}

PrivateKey rsa_key(const EVP_PKEY* key) {
    const auto n = required(key, OSSL_PKEY_PARAM_RSA_N), e = required(key, OSSL_PKEY_PARAM_RSA_E);
    const auto p = number(key, OSSL_PKEY_PARAM_RSA_FACTOR1), q = number(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
    if (number(key, OSSL_PKEY_PARAM_RSA_FACTOR3))
        unsupported("an RSA key of more than two primes, which a TPM cannot hold");
    return rsa_private_key(n.get(), e.get(), p.get(), q.get());
}

PrivateKey private_key_of(const openssl::Pkey& key) {
    ERR_clear_error();
    if (EVP_PKEY_is_a(key.get(), "EC") == 1)
        return ecdsa_key(key.get());
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1)
        return rsa_key(key.get());
    const char* name = EVP_PKEY_get0_type_name(key.get());
    refuse_type(name == nullptr ? "unknown" : name);
}

/// One PEM block. The destructor wipes its content.
struct Block {
    char* label = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;

    Block() = default;
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() {
        OPENSSL_secure_free(label);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(data, capacity);
    }
    /// @throws Error(malformed)
    void read(BIO* text);

    std::size_t capacity = 0; ///< of `data`: decryption makes `length` smaller
};

void Block::read(BIO* text) {
    if (PEM_read_bio_ex(text, &label, &header, &data, &length, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) !=
        1)
        malformed_pem("the PEM block is damaged or cut short");
    capacity = static_cast<std::size_t>(length);
}

/// True if OpenSSL failed because it lacks an algorithm. Otherwise the passphrase is wrong, because the
/// structure has been parsed before.
bool lacks_algorithm() {
    bool lacks = false;
    while (const auto error = ERR_get_error()) {
        const auto reason = ERR_GET_REASON(error);
        lacks |= reason == ERR_R_UNSUPPORTED ||
                 (ERR_GET_LIB(error) == ERR_LIB_EVP &&
                  (reason == EVP_R_UNKNOWN_PBE_ALGORITHM || reason == EVP_R_UNKNOWN_CIPHER ||
                   reason == EVP_R_UNSUPPORTED_CIPHER || reason == EVP_R_UNSUPPORTED_PRF ||
                   reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION)) ||
                 (ERR_GET_LIB(error) == ERR_LIB_PEM && reason == PEM_R_UNSUPPORTED_ENCRYPTION);
    }
    return lacks;
}

[[noreturn]] void refuse_cipher() {
    unsupported("the private key is encrypted in a way that OpenSSL does not have any more",
                "encrypt it anew: `ssh-keygen -p -f FILE`, with the program that made it");
}

/// A pem_password_cb that returns the known passphrase instead of asking on the terminal.
int give_passphrase(char* buffer, int size, int, void* passphrase) {
    const auto bytes = static_cast<const Secret*>(passphrase)->view();
    if (bytes.size() > static_cast<std::size_t>(size))
        return -1;
    std::memcpy(buffer, bytes.data(), bytes.size());
    return static_cast<int>(bytes.size());
}

openssl::Pkey decoded(int type, const Block& block) {
    const unsigned char* at = block.data;
    openssl::Pkey key(d2i_PrivateKey(type, nullptr, &at, block.length));
    return at == block.data + block.length ? std::move(key) : nullptr;
}

/// Reads SEC 1 or PKCS#1, which has the headers "Proc-Type: 4,ENCRYPTED" and "DEK-Info" if it is encrypted.
OpenedKey read_traditional(int type, Block& block, const Secret* passphrase) {
    EVP_CIPHER_INFO info{};
    if (PEM_get_EVP_CIPHER_INFO(block.header, &info) != 1) {
        if (lacks_algorithm())
            refuse_cipher();
        malformed_pem("the headers of the PEM block are damaged");
    }
    if (info.cipher != nullptr) {
        if (passphrase == nullptr)
            return NeedsPassphrase{};
        if (block.length == 0 || block.length % EVP_CIPHER_get_block_size(info.cipher) != 0)
            malformed_pem(damaged_private_key);
        auto* secret = const_cast<Secret*>(passphrase); // the C callback has no const
        if (PEM_do_header(&info, block.data, &block.length, give_passphrase, secret) != 1) {
            if (lacks_algorithm())
                refuse_cipher();
            return WrongPassphrase{};
        }
    }
    if (const auto key = decoded(type, block))
        return private_key_of(key);
    ERR_clear_error();
    // One wrong passphrase in 256 gives valid padding by chance.
    if (info.cipher != nullptr)
        return WrongPassphrase{};
    malformed_pem(damaged_private_key);
}

OpenedKey from_pkcs8(const PKCS8_PRIV_KEY_INFO* info) {
    const ASN1_OBJECT* algorithm = nullptr;
    if (PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, info) != 1)
        malformed_pem(damaged_private_key);
    const auto nid = OBJ_obj2nid(algorithm);
    if (nid != NID_rsaEncryption && nid != NID_X9_62_id_ecPublicKey)
        refuse_type(nid == NID_dsa ? "DSA" : OBJ_nid2sn(nid));
    if (const openssl::Pkey key(EVP_PKCS82PKEY(info)); key)
        return private_key_of(key);
    malformed_pem(damaged_private_key);
}

OpenedKey read_pkcs8(const Block& block) {
    const unsigned char* at = block.data;
    const PrivateInfo info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, block.length));
    if (!info || at != block.data + block.length)
        malformed_pem(damaged_private_key);
    return from_pkcs8(info.get());
}

OpenedKey read_encrypted_pkcs8(const Block& block, const Secret* passphrase) {
    const unsigned char* at = block.data;
    const EncryptedInfo encrypted(d2i_X509_SIG(nullptr, &at, block.length));
    if (!encrypted || at != block.data + block.length)
        malformed_pem(damaged_private_key);
    if (passphrase == nullptr)
        return NeedsPassphrase{};
    const auto text = text_of(passphrase->view());
    const PrivateInfo info(PKCS8_decrypt(encrypted.get(), text.data(), static_cast<int>(text.size())));
    if (info)
        return from_pkcs8(info.get());
    if (lacks_algorithm())
        refuse_cipher();
    return WrongPassphrase{};
}

} // namespace

OpenedKey read_pem_key(std::string_view text, const Secret* passphrase) {
    const openssl::Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    openssl::require(bio != nullptr, Errc::io, "OpenSSL has no memory for a file");
    Block block;
    block.read(bio.get());
    const std::string_view label(block.label);
    if (label == "EC PRIVATE KEY")
        return read_traditional(EVP_PKEY_EC, block, passphrase);
    if (label == "RSA PRIVATE KEY")
        return read_traditional(EVP_PKEY_RSA, block, passphrase);
    if (label == "PRIVATE KEY")
        return read_pkcs8(block);
    if (label == "ENCRYPTED PRIVATE KEY")
        return read_encrypted_pkcs8(block, passphrase);
    if (label == "DSA PRIVATE KEY")
        refuse_type("DSA");
    malformed_pem("the file holds \"" + printable(label, 64) + "\", where a key outside a TPM is wanted");
}

} // namespace sshtpm::ssh
