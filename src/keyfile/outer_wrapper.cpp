// SPDX-License-Identifier: MIT
#include "keyfile/outer_wrapper.hpp"

#include "base/openssl.hpp"
#include "keyfile/hashes.hpp"
#include "keyfile/kdf.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

namespace sshtpm::keyfile {

namespace {

struct StorageCurve {
    TPMI_ECC_CURVE id;
    const char* name;
    std::size_t width; ///< of a coordinate, in bytes
};
constexpr std::array<StorageCurve, 3> storage_curves{{{TPM2_ECC_NIST_P256, "P-256", 32},
                                                      {TPM2_ECC_NIST_P384, "P-384", 48},
                                                      {TPM2_ECC_NIST_P521, "P-521", 66}}};

/// The name algorithm, which also derives the keys.
const Hash& hash_of(const TPMT_PUBLIC& key, const std::string& subject) {
    const auto* const hash = find_hash(key.nameAlg);
    if (hash == nullptr || hash->openssl_name == nullptr)
        unsupported(subject + " has the name algorithm " + algorithm_name(key.nameAlg) +
                    ", where SHA-1 or SHA-2 is wanted");
    return *hash;
}

const StorageCurve& storage_curve_of(const TPMT_PUBLIC& key, const std::string& subject) {
    const auto id = key.parameters.eccDetail.curveID;
    const auto* const found = std::ranges::find(storage_curves, id, &StorageCurve::id);
    if (found == storage_curves.end())
        unsupported(subject + " is a key on " + curve_name(id) +
                    ", where NIST P-256, P-384 or P-521 is wanted");
    return *found;
}

/// The cipher with which the storage key encrypts.
const EVP_CIPHER* cipher_of(const TPMT_PUBLIC& key, const std::string& subject) {
    const auto& symmetric = key.parameters.asymDetail.symmetric;
    if (symmetric.algorithm == TPM2_ALG_AES && symmetric.mode.aes == TPM2_ALG_CFB)
        switch (symmetric.keyBits.aes) {
        case 128:
            return EVP_aes_128_cfb128();
        case 192:
            return EVP_aes_192_cfb128();
        case 256:
            return EVP_aes_256_cfb128();
        default:
            break;
        }
    unsupported(subject + " encrypts its keys with " + algorithm_name(symmetric.algorithm) + " of " +
                std::to_string(symmetric.keyBits.sym) + " bits, where AES in CFB mode is wanted");
}

/// A storage key, and its algorithms.
struct StorageKey {
    const TPMT_PUBLIC& area;
    const Hash& hash;
    const EVP_CIPHER* cipher;
    const StorageCurve* curve; ///< null for RSA
};

StorageKey checked(const TPMT_PUBLIC& area, const std::string& subject) {
    constexpr TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    if (area.type != TPM2_ALG_ECC && area.type != TPM2_ALG_RSA)
        unsupported(subject + " is an object of type " + algorithm_name(area.type) +
                    ", where an ECC or RSA storage key is wanted");
    if ((area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0)
        unsupported(subject + " is a signing key, where a storage key is wanted");
    if ((area.objectAttributes & storage) != storage)
        unsupported(subject + " is not a storage key: it is not restricted to decryption");
    StorageKey key{area, hash_of(area, subject), cipher_of(area, subject), nullptr};
    if (area.type == TPM2_ALG_RSA) {
        if (area.unique.rsa.size * 8U != area.parameters.rsaDetail.keyBits)
            malformed(subject + " has a modulus of " + std::to_string(area.unique.rsa.size) + " bytes");
        return key;
    }
    key.curve = &storage_curve_of(area, subject);
    for (const auto* coordinate : {&area.unique.ecc.x, &area.unique.ecc.y})
        if (coordinate->size == 0 || coordinate->size > key.curve->width)
            malformed(subject + " has a coordinate of " + std::to_string(coordinate->size) + " bytes");
    return key;
}

/// An uncompressed point (SEC 1 section 2.3.3): 04, x, y.
constexpr std::uint8_t uncompressed = 0x04;

ByteView x_of(ByteView point) {
    return point.subspan(1, point.size() / 2);
}

ByteView y_of(ByteView point) {
    return point.subspan(1 + point.size() / 2);
}

Bytes point_of(const TPMS_ECC_POINT& unique, std::size_t width) {
    Bytes octets{uncompressed};
    append(octets, fixed_width(view_of(unique.x), width));
    append(octets, fixed_width(view_of(unique.y), width));
    return octets;
}

Bytes point_of(const EVP_PKEY* key, std::size_t width) {
    Bytes point(1 + 2 * width);
    std::size_t length = 0;
    openssl::require(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                                     &length) == 1 &&
                         length == point.size() && point[0] == uncompressed,
                     Errc::io, "OpenSSL could not make a key");
    return point;
}

/// ECDH. @returns the x coordinate of the shared point
Secret diffie_hellman(EVP_PKEY* ours, ByteView theirs, std::size_t width) {
    const openssl::Pkey peer(EVP_PKEY_new());
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours, nullptr));
    Wiped<std::array<std::uint8_t, storage_curves.back().width>> z;
    std::size_t length = z->size();
    openssl::require(peer && EVP_PKEY_copy_parameters(peer.get(), ours) == 1 &&
                         EVP_PKEY_set1_encoded_public_key(peer.get(), theirs.data(), theirs.size()) == 1 &&
                         context && EVP_PKEY_derive_init(context.get()) == 1 &&
                         EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
                         EVP_PKEY_derive(context.get(), z->data(), &length) == 1 && length == width,
                     Errc::malformed, "the storage key is not a point of its curve");
    return Secret::copy_of(ByteView(*z).first(width));
}

/// KDFa of TPM 2.0 Part 1, 11.4.10.2: the counter mode of NIST SP 800-108 with HMAC. It also hashes the size:
/// a key of 16 bytes is not the first half of a key of 32.
/// @param label without the zero byte that ends it in the specification
/// @param context contextU, then contextV
Secret kdfa(const Hash& hash, ByteView key, std::string_view label, ByteView context, std::size_t size) {
    // OpenSSL hashes the counter, the label, a zero byte, the context and the length in bits, as KDFa does.
    return derive_key("KBKDF",
                      {text_param(OSSL_KDF_PARAM_MAC, "HMAC"),
                       text_param(OSSL_KDF_PARAM_DIGEST, hash.openssl_name),
                       text_param(OSSL_KDF_PARAM_MODE, "COUNTER"), bytes_param(OSSL_KDF_PARAM_KEY, key),
                       bytes_param(OSSL_KDF_PARAM_SALT, bytes_of(label)),
                       bytes_param(OSSL_KDF_PARAM_INFO, context), OSSL_PARAM_construct_end()},
                      size);
}

/// KDFe of TPM 2.0 Part 1, 11.4.10.3: the one-step derivation of NIST SP 800-56A.
/// @param label with its zero byte
/// @param party_u, party_v x coordinates
/// @returns as many bytes as a digest has
Secret kdfe(const Hash& hash, ByteView z, ByteView label, ByteView party_u, ByteView party_v) {
    Bytes info = copy_of(label);
    append(info, party_u);
    append(info, party_v);
    return derive_key("SSKDF",
                      {text_param(OSSL_KDF_PARAM_DIGEST, hash.openssl_name),
                       bytes_param(OSSL_KDF_PARAM_KEY, z), bytes_param(OSSL_KDF_PARAM_INFO, info),
                       OSSL_PARAM_construct_end()},
                      hash.digest_size);
}

struct SharedSeed {
    Secret seed;  ///< as long as a digest of the storage key's nameAlg
    Bytes secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled: the TPM recovers the seed from it
};

/// "Secret sharing" with an ECC storage key (TPM 2.0 Part 1, C.6.1 and C.6.4): the TPM gets the public half
/// of an ephemeral key, and this function discards the private half.
SharedSeed share_by_ecdh(const StorageKey& storage_key, std::string_view use) {
    const auto& curve = *storage_key.curve;
    const auto theirs = point_of(storage_key.area.unique.ecc, curve.width);
    const openssl::Pkey key(EVP_EC_gen(curve.name));
    openssl::require(key != nullptr, Errc::io, "OpenSSL could not make a key");
    const auto ours = point_of(key.get(), curve.width);
    const auto z = diffie_hellman(key.get(), theirs, curve.width);
    auto point = tpm2b_around(x_of(ours)); // TPMS_ECC_POINT
    append(point, tpm2b_around(y_of(ours)));
    return {kdfe(storage_key.hash, z.view(), bytes_of(use), x_of(ours), x_of(theirs)), tpm2b_around(point)};
}

using ParamBuilder = openssl::Owner<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = openssl::Owner<OSSL_PARAM, OSSL_PARAM_free>;

openssl::Pkey rsa_key(const TPMT_PUBLIC& area) {
    const auto modulus = view_of(area.unique.rsa);
    const auto exponent = area.parameters.rsaDetail.exponent;
    const openssl::Number n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
    const ParamBuilder builder(OSSL_PARAM_BLD_new());
    openssl::require(n && builder &&
                         OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
                         OSSL_PARAM_BLD_push_uint32(builder.get(), OSSL_PKEY_PARAM_RSA_E,
                                                    exponent == 0 ? RSA_F4 : exponent) == 1,
                     Errc::io, "OpenSSL has no memory for a key");
    const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    openssl::require(params && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                         EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1,
                     Errc::malformed, "the storage key is not an RSA key");
    return openssl::Pkey(key);
}

/// The same with an RSA storage key (Part 1, B.10.4): a random seed, encrypted by OAEP with the
/// storage key's nameAlg.
SharedSeed share_by_oaep(const StorageKey& storage_key, std::string_view use) {
    const auto& hash = storage_key.hash;
    Wiped<std::array<std::uint8_t, longest_digest>> seed;
    openssl::require(RAND_priv_bytes(seed->data(), static_cast<int>(hash.digest_size)) == 1, Errc::io,
                     "OpenSSL has no random numbers");
    const auto key = rsa_key(storage_key.area);
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    const std::array params{text_param(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, OSSL_PKEY_RSA_PAD_MODE_OAEP),
                            text_param(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, hash.openssl_name),
                            bytes_param(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, bytes_of(use)),
                            OSSL_PARAM_construct_end()};
    Bytes secret(storage_key.area.unique.rsa.size);
    std::size_t length = secret.size();
    openssl::require(
        context && EVP_PKEY_encrypt_init_ex(context.get(), params.data()) == 1 &&
            EVP_PKEY_encrypt(context.get(), secret.data(), &length, seed->data(), hash.digest_size) == 1 &&
            length == secret.size(),
        Errc::malformed, "the storage key is not an RSA key that can encrypt");
    return {Secret::copy_of(ByteView(*seed).first(hash.digest_size)), tpm2b_around(secret)};
}

/// The IV may be all zero because the key is used once.
Bytes encrypt(const EVP_CIPHER* cipher, const Secret& key, ByteView data) {
    const openssl::CipherContext context(EVP_CIPHER_CTX_new());
    const std::array<std::uint8_t, 16> iv{};
    Bytes out(data.size());
    int length = 0;
    openssl::require(
        context && EVP_EncryptInit_ex2(context.get(), cipher, key.view().data(), iv.data(), nullptr) == 1 &&
            EVP_EncryptUpdate(context.get(), out.data(), &length, data.data(),
                              static_cast<int>(data.size())) == 1 &&
            static_cast<std::size_t>(length) == out.size(),
        Errc::io, "OpenSSL could not encrypt");
    return out;
}

Bytes hmac(const Hash& hash, const Secret& key, ByteView data) {
    Bytes out(hash.digest_size);
    std::size_t length = 0;
    openssl::require(EVP_Q_mac(nullptr, "HMAC", nullptr, hash.openssl_name, nullptr, key.view().data(),
                               key.size(), data.data(), data.size(), out.data(), out.size(),
                               &length) != nullptr &&
                         length == out.size(),
                     Errc::io, "OpenSSL could not compute an HMAC");
    return out;
}

} // namespace

void require_storage_key(const TPMT_PUBLIC& area, std::string_view subject) {
    static_cast<void>(checked(area, std::string(subject)));
}

OuterWrapped wrap_outer(const TPMT_PUBLIC& storage_key, std::string_view use, ByteView name, ByteView data) {
    const auto key = checked(storage_key, "the storage key");
    auto shared = key.curve != nullptr ? share_by_ecdh(key, use) : share_by_oaep(key, use);
    const auto cipher_key = kdfa(key.hash, shared.seed.view(), "STORAGE", name,
                                 static_cast<std::size_t>(EVP_CIPHER_get_key_length(key.cipher)));
    const auto hmac_key = kdfa(key.hash, shared.seed.view(), "INTEGRITY", {}, key.hash.digest_size);
    const auto encrypted = encrypt(key.cipher, cipher_key, data);
    Bytes authenticated = encrypted;
    append(authenticated, name);
    auto content = tpm2b_around(hmac(key.hash, hmac_key, authenticated));
    append(content, encrypted);
    return {std::move(shared.secret), std::move(content)};
}

} // namespace sshtpm::keyfile
