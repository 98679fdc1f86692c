#include "keyfile/wrap.hpp"

#include "keyfile/ephemeral.hpp"
#include "keyfile/kdf.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/openssl.hpp"
#include "keyfile/tpm2b.hpp"

#include <algorithm>
#include <array>

#include <openssl/hmac.h>
#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t digest_size = 32; ///< of SHA-256: the nameAlg of the key and of its parent
constexpr std::size_t aes_key_size = 16;

/// nameAlg and the digest of the public area (Part 1, clause 16).
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

/// TPM2B_SENSITIVE. The auth value is filled up with zero bytes to the size of the digest, as TPMs do, so
/// that the file does not show the length of the PIN. Only storage keys need a seed (Part 1, 27.5.3).
Secret sensitive_area(TPMI_ALG_PUBLIC type, const Secret& sensitive, ByteView auth) {
    Wiped<TPM2B_SENSITIVE> area;
    area->sensitiveArea.sensitiveType = type;
    if (auth.size() > digest_size)
        throw Error(Errc::malformed, "an auth value of more than 32 bytes");
    area->sensitiveArea.authValue.size = digest_size; // the bytes are zero already
    std::ranges::copy(auth, area->sensitiveArea.authValue.buffer);
    if (type == TPM2_ALG_ECC)
        put(sensitive.view(), area->sensitiveArea.sensitive.ecc);
    else
        put(sensitive.view(), area->sensitiveArea.sensitive.rsa);
    Wiped<std::array<std::uint8_t, sizeof(TPM2B_SENSITIVE)>> bytes;
    std::size_t used = 0;
    if (Tss2_MU_TPM2B_SENSITIVE_Marshal(area.get(), bytes->data(), bytes->size(), &used) != TSS2_RC_SUCCESS)
        throw Error(Errc::malformed, "a sensitive area that cannot be marshalled");
    return Secret::copy_of(ByteView(*bytes).first(used));
}

/// AES-128-CFB with an IV of zero bytes: the key is used once.
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
    Bytes private_area{0, digest_size}; // TPM2B_DIGEST
    append(private_area, hmac(kdfa(shared.seed.view(), "INTEGRITY", {}, digest_size), authenticated));
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
