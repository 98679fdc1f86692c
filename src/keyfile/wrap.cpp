// SPDX-License-Identifier: MIT
#include "keyfile/wrap.hpp"

#include "base/openssl.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

/// The nameAlg of a storage key.
struct NameHash {
    TPMI_ALG_HASH id;
    const char* name;
    std::size_t size; ///< of a digest, in bytes
};
constexpr std::array<NameHash, 4> name_hashes{{{TPM2_ALG_SHA1, "SHA1", 20},
                                               {TPM2_ALG_SHA256, "SHA256", 32},
                                               {TPM2_ALG_SHA384, "SHA384", 48},
                                               {TPM2_ALG_SHA512, "SHA512", 64}}};
constexpr const NameHash& sha256 = name_hashes[1]; ///< the nameAlg of wrapped keys

struct ParentCurve {
    TPMI_ECC_CURVE id;
    const char* name;
    std::size_t width; ///< of a coordinate, in bytes
};
constexpr std::array<ParentCurve, 3> parent_curves{{{TPM2_ECC_NIST_P256, "P-256", 32},
                                                    {TPM2_ECC_NIST_P384, "P-384", 48},
                                                    {TPM2_ECC_NIST_P521, "P-521", 66}}};

const NameHash& name_hash_of(const TPMT_PUBLIC& parent) {
    const auto* const found = std::ranges::find(name_hashes, parent.nameAlg, &NameHash::id);
    if (found == name_hashes.end())
        unsupported("the parent has the name algorithm " + algorithm_name(parent.nameAlg) +
                    ", where SHA-1 or SHA-2 is wanted");
    return *found;
}

const ParentCurve& curve_of(const TPMT_PUBLIC& parent) {
    const auto id = parent.parameters.eccDetail.curveID;
    const auto* const found = std::ranges::find(parent_curves, id, &ParentCurve::id);
    if (found == parent_curves.end())
        unsupported("the parent is a key on " + curve_name(id) +
                    ", where NIST P-256, P-384 or P-521 is wanted");
    return *found;
}

/// The cipher with which the parent encrypts its keys.
const EVP_CIPHER* cipher_of(const TPMT_PUBLIC& parent) {
    const auto& symmetric = parent.parameters.asymDetail.symmetric;
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
    unsupported("the parent encrypts its keys with " + algorithm_name(symmetric.algorithm) + " of " +
                std::to_string(symmetric.keyBits.sym) + " bits, where AES in CFB mode is wanted");
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
    Wiped<std::array<std::uint8_t, parent_curves.back().width>> z;
    std::size_t length = z->size();
    openssl::require(peer && EVP_PKEY_copy_parameters(peer.get(), ours) == 1 &&
                         EVP_PKEY_set1_encoded_public_key(peer.get(), theirs.data(), theirs.size()) == 1 &&
                         context && EVP_PKEY_derive_init(context.get()) == 1 &&
                         EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
                         EVP_PKEY_derive(context.get(), z->data(), &length) == 1 && length == width,
                     Errc::malformed, "the storage key is not a point of its curve");
    return Secret::copy_of(ByteView(*z).first(width));
}

using Kdf = openssl::Owner<EVP_KDF, EVP_KDF_free>;
using KdfContext = openssl::Owner<EVP_KDF_CTX, EVP_KDF_CTX_free>;

/// OSSL_PARAM has no const; OpenSSL does not write to an input.
OSSL_PARAM bytes_param(const char* name, ByteView value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}

OSSL_PARAM text_param(const char* name, const char* value) {
    return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

/// @param size of the derived key in bytes, at most that of the longest digest
Secret derive(const char* algorithm, const std::vector<OSSL_PARAM>& params, std::size_t size) {
    Wiped<std::array<std::uint8_t, name_hashes.back().size>> out;
    const Kdf kdf(EVP_KDF_fetch(nullptr, algorithm, nullptr));
    const KdfContext context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    openssl::require(context && EVP_KDF_derive(context.get(), out->data(), size, params.data()) == 1,
                     Errc::io, "OpenSSL could not derive a key");
    return Secret::copy_of(ByteView(*out).first(size));
}

/// KDFa of TPM 2.0 Part 1, 11.4.10.2: the counter mode of NIST SP 800-108 with HMAC. It also hashes the size:
/// a key of 16 bytes is not the first half of a key of 32.
/// @param label without the zero byte that ends it in the specification
/// @param context contextU, then contextV
Secret kdfa(const NameHash& hash, ByteView key, std::string_view label, ByteView context, std::size_t size) {
    // OpenSSL hashes the counter, the label, a zero byte, the context and the length in bits, as KDFa does.
    return derive("KBKDF",
                  {text_param(OSSL_KDF_PARAM_MAC, "HMAC"), text_param(OSSL_KDF_PARAM_DIGEST, hash.name),
                   text_param(OSSL_KDF_PARAM_MODE, "COUNTER"), bytes_param(OSSL_KDF_PARAM_KEY, key),
                   bytes_param(OSSL_KDF_PARAM_SALT, bytes_of(label)),
                   bytes_param(OSSL_KDF_PARAM_INFO, context), OSSL_PARAM_construct_end()},
                  size);
}

/// KDFe of TPM 2.0 Part 1, 11.4.10.3: the one-step derivation of NIST SP 800-56A.
/// @param label with its zero byte
/// @param party_u, party_v x coordinates
/// @returns as many bytes as a digest has
Secret kdfe(const NameHash& hash, ByteView z, ByteView label, ByteView party_u, ByteView party_v) {
    Bytes info = copy_of(label);
    append(info, party_u);
    append(info, party_v);
    return derive("SSKDF",
                  {text_param(OSSL_KDF_PARAM_DIGEST, hash.name), bytes_param(OSSL_KDF_PARAM_KEY, z),
                   bytes_param(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()},
                  hash.size);
}

struct SharedSeed {
    Secret seed;  ///< as long as a digest of the parent's nameAlg
    Bytes secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled: the TPM recovers the seed from it
};

/// "DUPLICATE", with its zero byte, labels a seed for duplication (TPM 2.0 Part 1, 23.3.2.3).
ByteView duplicate_label() {
    using namespace std::string_view_literals;
    return bytes_of("DUPLICATE\0"sv);
}

/// "Secret sharing" with an ECC storage key (TPM 2.0 Part 1, C.6.1 and C.6.4): the TPM gets the public half
/// of an ephemeral key, and this function discards the private half.
SharedSeed share_by_ecdh(const TPMT_PUBLIC& parent) {
    const auto& curve = curve_of(parent);
    const auto theirs = point_of(parent.unique.ecc, curve.width);
    const openssl::Pkey key(EVP_EC_gen(curve.name));
    openssl::require(key != nullptr, Errc::io, "OpenSSL could not make a key");
    const auto ours = point_of(key.get(), curve.width);
    const auto z = diffie_hellman(key.get(), theirs, curve.width);
    auto point = tpm2b_around(x_of(ours)); // TPMS_ECC_POINT
    append(point, tpm2b_around(y_of(ours)));
    return {kdfe(name_hash_of(parent), z.view(), duplicate_label(), x_of(ours), x_of(theirs)),
            tpm2b_around(point)};
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

/// The same with an RSA storage key (Part 1, B.10.4): a random seed, encrypted by OAEP with the parent's
/// nameAlg.
SharedSeed share_by_oaep(const TPMT_PUBLIC& parent) {
    const auto& hash = name_hash_of(parent);
    Wiped<std::array<std::uint8_t, name_hashes.back().size>> seed;
    openssl::require(RAND_priv_bytes(seed->data(), static_cast<int>(hash.size)) == 1, Errc::io,
                     "OpenSSL has no random numbers");
    const auto key = rsa_key(parent);
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    const std::array params{text_param(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, OSSL_PKEY_RSA_PAD_MODE_OAEP),
                            text_param(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, hash.name),
                            bytes_param(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, duplicate_label()),
                            OSSL_PARAM_construct_end()};
    Bytes secret(parent.unique.rsa.size);
    std::size_t length = secret.size();
    openssl::require(context && EVP_PKEY_encrypt_init_ex(context.get(), params.data()) == 1 &&
                         EVP_PKEY_encrypt(context.get(), secret.data(), &length, seed->data(), hash.size) ==
                             1 &&
                         length == secret.size(),
                     Errc::malformed, "the storage key is not an RSA key that can encrypt");
    return {Secret::copy_of(ByteView(*seed).first(hash.size)), tpm2b_around(secret)};
}

/// The Name: nameAlg and the digest of the public area (Part 1, clause 16).
Bytes name_of(const TPMT_PUBLIC& key) {
    const auto tpm2b = marshal_public(key);
    const auto area = content_of_tpm2b(tpm2b);
    Bytes name(2 + sha256.size);
    name[0] = TPM2_ALG_SHA256 >> 8U;
    name[1] = TPM2_ALG_SHA256 & 0xFFU;
    openssl::require(
        EVP_Q_digest(nullptr, sha256.name, nullptr, area.data(), area.size(), &name[2], nullptr) == 1,
        Errc::io, "OpenSSL could not hash the public area");
    return name;
}

/// TPM2B_SENSITIVE. The auth value is padded with zero bytes to the size of the digest, as TPMs do: the file
/// must not show the length of the PIN. Only storage keys need a seed (Part 1, 27.5.3).
Secret sensitive_area(TPMI_ALG_PUBLIC type, const Secret& sensitive, ByteView auth) {
    Wiped<TPM2B_SENSITIVE> area;
    area->sensitiveArea.sensitiveType = type;
    if (auth.size() > sha256.size)
        malformed("an auth value of more than 32 bytes");
    area->sensitiveArea.authValue.size = sha256.size; // the bytes are zero already
    std::ranges::copy(auth, area->sensitiveArea.authValue.buffer);
    if (type == TPM2_ALG_ECC)
        put(sensitive.view(), area->sensitiveArea.sensitive.ecc);
    else
        put(sensitive.view(), area->sensitiveArea.sensitive.rsa);
    Wiped<std::array<std::uint8_t, sizeof(TPM2B_SENSITIVE)>> bytes;
    std::size_t used = 0;
    if (Tss2_MU_TPM2B_SENSITIVE_Marshal(area.get(), bytes->data(), bytes->size(), &used) != TSS2_RC_SUCCESS)
        malformed("a sensitive area that cannot be marshalled");
    return Secret::copy_of(ByteView(*bytes).first(used));
}

/// The IV may be all zero because the key is used once.
Bytes encrypt(const EVP_CIPHER* cipher, const Secret& key, ByteView clear) {
    const openssl::CipherContext context(EVP_CIPHER_CTX_new());
    const std::array<std::uint8_t, 16> iv{};
    Bytes out(clear.size());
    int length = 0;
    openssl::require(
        context && EVP_EncryptInit_ex2(context.get(), cipher, key.view().data(), iv.data(), nullptr) == 1 &&
            EVP_EncryptUpdate(context.get(), out.data(), &length, clear.data(),
                              static_cast<int>(clear.size())) == 1 &&
            static_cast<std::size_t>(length) == out.size(),
        Errc::io, "OpenSSL could not encrypt the key");
    return out;
}

Bytes hmac(const NameHash& hash, const Secret& key, ByteView data) {
    Bytes out(hash.size);
    std::size_t length = 0;
    openssl::require(EVP_Q_mac(nullptr, "HMAC", nullptr, hash.name, nullptr, key.view().data(), key.size(),
                               data.data(), data.size(), out.data(), out.size(), &length) != nullptr &&
                         length == out.size(),
                     Errc::io, "OpenSSL could not compute an HMAC");
    return out;
}

} // namespace

void require_storage_key(const TPMT_PUBLIC& area) {
    constexpr TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    if (area.type != TPM2_ALG_ECC && area.type != TPM2_ALG_RSA)
        unsupported("the parent is an object of type " + algorithm_name(area.type) +
                    ", where an ECC or RSA storage key is wanted");
    if ((area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0)
        unsupported("the parent is a signing key, where a storage key is wanted");
    if ((area.objectAttributes & storage) != storage)
        unsupported("the parent is not a storage key: it is not restricted to decryption");
    name_hash_of(area);
    cipher_of(area);
    if (area.type == TPM2_ALG_RSA) {
        if (area.unique.rsa.size * 8U != area.parameters.rsaDetail.keyBits)
            malformed("the parent has a modulus of " + std::to_string(area.unique.rsa.size) + " bytes");
        return;
    }
    const auto width = curve_of(area).width;
    for (const auto* coordinate : {&area.unique.ecc.x, &area.unique.ecc.y})
        if (coordinate->size == 0 || coordinate->size > width)
            malformed("the parent has a coordinate of " + std::to_string(coordinate->size) + " bytes");
}

KeyFile wrap(const TPMT_PUBLIC& parent, const TPMT_PUBLIC& key, const Secret& sensitive, ByteView auth) {
    require_storage_key(parent);
    const auto& hash = name_hash_of(parent);
    const auto* const cipher = cipher_of(parent);
    const auto name = name_of(key);
    const auto shared = parent.type == TPM2_ALG_RSA ? share_by_oaep(parent) : share_by_ecdh(parent);
    const auto cipher_key = kdfa(hash, shared.seed.view(), "STORAGE", name,
                                 static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher)));
    const auto encrypted = encrypt(cipher, cipher_key, sensitive_area(key.type, sensitive, auth).view());
    Bytes authenticated = encrypted;
    append(authenticated, name);
    auto private_area =
        tpm2b_around(hmac(hash, kdfa(hash, shared.seed.view(), "INTEGRITY", {}, hash.size), authenticated));
    append(private_area, encrypted);

    KeyFile out;
    out.kind = KeyKind::importable;
    out.empty_auth = auth.empty();
    out.secret = shared.secret;
    out.public_area = key;
    out.private_area = tpm2b_of<TPM2B_PRIVATE>(private_area);
    return out;
}

} // namespace sshtpm::keyfile
