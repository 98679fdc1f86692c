#include "keyfile/wrap.hpp"

#include "base/openssl.hpp"
#include "keyfile/marshal.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t digest_size = 32; ///< of SHA-256: the nameAlg of the key and of its parent
constexpr std::size_t aes_key_size = 16;
constexpr std::size_t width = 32; ///< of a coordinate of P-256

/// An uncompressed point of P-256 (SEC 1 section 2.3.3): 04, x, y.
using Point = std::array<std::uint8_t, 1 + 2 * width>;
constexpr std::uint8_t uncompressed = 0x04;

ByteView x_of(const Point& point) {
    return ByteView(point).subspan(1, width);
}

ByteView y_of(const Point& point) {
    return ByteView(point).subspan(1 + width);
}

Point point_of(const TPMS_ECC_POINT& unique) {
    Bytes octets{uncompressed};
    append(octets, fixed_width(view_of(unique.x), width));
    append(octets, fixed_width(view_of(unique.y), width));
    Point point{};
    std::ranges::copy(octets, point.begin());
    return point;
}

Point point_of(const EVP_PKEY* key) {
    Point point{};
    std::size_t length = 0;
    openssl::require(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                                     &length) == 1 &&
                         length == point.size() && point[0] == uncompressed,
                     Errc::io, "OpenSSL could not make a key");
    return point;
}

/// ECDH. @returns the x coordinate of the shared point
Secret diffie_hellman(EVP_PKEY* ours, const Point& theirs) {
    const openssl::Pkey peer(EVP_PKEY_new());
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours, nullptr));
    Wiped<std::array<std::uint8_t, width>> z;
    std::size_t length = z->size();
    openssl::require(peer && EVP_PKEY_copy_parameters(peer.get(), ours) == 1 &&
                         EVP_PKEY_set1_encoded_public_key(peer.get(), theirs.data(), theirs.size()) == 1 &&
                         context && EVP_PKEY_derive_init(context.get()) == 1 &&
                         EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
                         EVP_PKEY_derive(context.get(), z->data(), &length) == 1 && length == z->size(),
                     Errc::malformed, "the storage key is not a point of its curve");
    return Secret::copy_of(*z);
}

using Kdf = openssl::Owner<EVP_KDF, EVP_KDF_free>;
using KdfContext = openssl::Owner<EVP_KDF_CTX, EVP_KDF_CTX_free>;

/// OSSL_PARAM has no const; OpenSSL does not write to an input.
OSSL_PARAM bytes_param(const char* name, ByteView value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}

OSSL_PARAM text_param(const char* name, std::string& value) {
    return OSSL_PARAM_construct_utf8_string(name, value.data(), 0);
}

/// @param size of the derived key in bytes, 32 at most.
Secret derive(const char* algorithm, const std::vector<OSSL_PARAM>& params, std::size_t size) {
    Wiped<std::array<std::uint8_t, digest_size>> out;
    const Kdf kdf(EVP_KDF_fetch(nullptr, algorithm, nullptr));
    const KdfContext context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    openssl::require(context && EVP_KDF_derive(context.get(), out->data(), size, params.data()) == 1,
                     Errc::io, "OpenSSL could not derive a key");
    return Secret::copy_of(ByteView(*out).first(size));
}

/// KDFa of TPM 2.0 Part 1, 11.4.10.2, with SHA-256: the counter mode of NIST SP 800-108 with HMAC. It also
/// hashes the size: a key of 16 bytes is not the first half of a key of 32.
/// @param label without the zero byte that ends it in the specification
/// @param context contextU, then contextV
Secret kdfa(ByteView key, std::string_view label, ByteView context, std::size_t size) {
    std::string mac = "HMAC", digest = "SHA256", mode = "COUNTER";
    // OpenSSL hashes the counter, the label, a zero byte, the context and the length in bits, as KDFa does.
    return derive("KBKDF",
                  {text_param(OSSL_KDF_PARAM_MAC, mac), text_param(OSSL_KDF_PARAM_DIGEST, digest),
                   text_param(OSSL_KDF_PARAM_MODE, mode), bytes_param(OSSL_KDF_PARAM_KEY, key),
                   bytes_param(OSSL_KDF_PARAM_SALT, bytes_of(label)),
                   bytes_param(OSSL_KDF_PARAM_INFO, context), OSSL_PARAM_construct_end()},
                  size);
}

/// KDFe of TPM 2.0 Part 1, 11.4.10.3, with SHA-256: the one-step derivation of NIST SP 800-56A.
/// @param party_u, party_v x coordinates. @returns 32 bytes.
Secret kdfe(ByteView z, std::string_view label, ByteView party_u, ByteView party_v) {
    std::string digest = "SHA256";
    Bytes info = copy_of(bytes_of(label));
    info.push_back(0);
    append(info, party_u);
    append(info, party_v);
    return derive("SSKDF",
                  {text_param(OSSL_KDF_PARAM_DIGEST, digest), bytes_param(OSSL_KDF_PARAM_KEY, z),
                   bytes_param(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()},
                  digest_size);
}

struct SharedSeed {
    Secret seed;  ///< 32 bytes
    Bytes secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled: the TPM recovers the seed from it
};

/// "Secret sharing" with a storage key on P-256 (TPM 2.0 Part 1, C.6.1 and C.6.4): the TPM gets the public
/// half of an ephemeral key, and this function discards the private half.
SharedSeed share_seed(const TPMT_PUBLIC& storage_key, std::string_view label) {
    const auto theirs = point_of(storage_key.unique.ecc);
    const openssl::Pkey key(EVP_EC_gen("P-256"));
    openssl::require(key != nullptr, Errc::io, "OpenSSL could not make a key");
    const auto ours = point_of(key.get());
    const auto z = diffie_hellman(key.get(), theirs);
    auto point = tpm2b_around(x_of(ours)); // TPMS_ECC_POINT
    append(point, tpm2b_around(y_of(ours)));
    return {kdfe(z.view(), label, x_of(ours), x_of(theirs)), tpm2b_around(point)};
}

/// The Name: nameAlg and the digest of the public area (Part 1, clause 16).
Bytes name_of(const TPMT_PUBLIC& key) {
    const auto tpm2b = marshal_public(key);
    const auto area = content_of_tpm2b(tpm2b);
    Bytes name{TPM2_ALG_SHA256 >> 8U, TPM2_ALG_SHA256 & 0xFFU};
    name.resize(name.size() + digest_size);
    openssl::require(EVP_Q_digest(nullptr, "SHA256", nullptr, area.data(), area.size(), &name[2], nullptr) ==
                         1,
                     Errc::io, "OpenSSL could not hash the public area");
    return name;
}

/// TPM2B_SENSITIVE. The auth value is padded with zero bytes to the size of the digest, as TPMs do: the file
/// must not show the length of the PIN. Only storage keys need a seed (Part 1, 27.5.3).
Secret sensitive_area(TPMI_ALG_PUBLIC type, const Secret& sensitive, ByteView auth) {
    Wiped<TPM2B_SENSITIVE> area;
    area->sensitiveArea.sensitiveType = type;
    if (auth.size() > digest_size)
        malformed("an auth value of more than 32 bytes");
    area->sensitiveArea.authValue.size = digest_size; // the bytes are zero already
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

/// AES-128-CFB. The IV may be all zero because the key is used once.
Bytes encrypt(const Secret& key, ByteView clear) {
    const openssl::CipherContext context(EVP_CIPHER_CTX_new());
    const std::array<std::uint8_t, 16> iv{};
    Bytes out(clear.size());
    int length = 0;
    openssl::require(context &&
                         EVP_EncryptInit_ex2(context.get(), EVP_aes_128_cfb128(), key.view().data(),
                                             iv.data(), nullptr) == 1 &&
                         EVP_EncryptUpdate(context.get(), out.data(), &length, clear.data(),
                                           static_cast<int>(clear.size())) == 1 &&
                         static_cast<std::size_t>(length) == out.size(),
                     Errc::io, "OpenSSL could not encrypt the key");
    return out;
}

Bytes hmac(const Secret& key, ByteView data) {
    Bytes out(digest_size);
    std::size_t length = 0;
    openssl::require(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.view().data(), key.size(),
                               data.data(), data.size(), out.data(), out.size(), &length) != nullptr &&
                         length == out.size(),
                     Errc::io, "OpenSSL could not compute an HMAC");
    return out;
}

} // namespace

KeyFile wrap(const TPMT_PUBLIC& parent, const TPMT_PUBLIC& key, const Secret& sensitive, ByteView auth) {
    const auto name = name_of(key);
    const auto shared = share_seed(parent, "DUPLICATE");
    const auto encrypted = encrypt(kdfa(shared.seed.view(), "STORAGE", name, aes_key_size),
                                   sensitive_area(key.type, sensitive, auth).view());
    Bytes authenticated = encrypted;
    append(authenticated, name);
    auto private_area =
        tpm2b_around(hmac(kdfa(shared.seed.view(), "INTEGRITY", {}, digest_size), authenticated));
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
