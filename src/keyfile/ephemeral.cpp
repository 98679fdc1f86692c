#include "keyfile/ephemeral.hpp"

#include "keyfile/kdf.hpp"
#include "keyfile/openssl.hpp"
#include "keyfile/tpm2b.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t width = 32; ///< of a coordinate of P-256
constexpr std::uint8_t uncompressed = 0x04;

using Point = std::array<std::uint8_t, 1 + 2 * width>; ///< SEC 1 section 2.3.3

Point point_of(const TPMS_ECC_POINT& unique) {
    Point out{uncompressed};
    const auto put = [&](const TPM2B_ECC_PARAMETER& coordinate, std::size_t at) {
        const auto digits = fixed_width(view_of(coordinate), width);
        std::copy(digits.begin(), digits.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(unique.x, 1);
    put(unique.y, 1 + width);
    return out;
}

ByteView x_of(const Point& point) {
    return ByteView(point).subspan(1, width);
}

/// OpenSSL refuses a point that is not on the curve.
openssl::Pkey public_key_at(Point point) {
    std::string group = "P-256";
    const std::array<OSSL_PARAM, 3> params{
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        OSSL_PARAM_construct_end()};
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* key = nullptr;
    const bool made = context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                                        const_cast<OSSL_PARAM*>(params.data())) == 1;
    openssl::require(made, Errc::malformed, "the storage key is not a point of its curve");
    return openssl::Pkey(key);
}

openssl::Pkey ephemeral_key() {
    openssl::Pkey key(EVP_EC_gen("P-256"));
    openssl::require(key != nullptr, Errc::io, "OpenSSL could not make a key");
    return key;
}

Point public_point(const EVP_PKEY* key) {
    Point out{};
    std::size_t length = 0;
    openssl::require(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out.data(), out.size(), &length) == 1 &&
            length == out.size() && out[0] == uncompressed,
        Errc::io, "OpenSSL could not make a key");
    return out;
}

/// The x coordinate of the shared point, in the curve's width.
Secret diffie_hellman(EVP_PKEY* ours, EVP_PKEY* theirs) {
    Wiped<std::array<std::uint8_t, width>> z;
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours, nullptr));
    std::size_t length = z->size();
    openssl::require(context && EVP_PKEY_derive_init(context.get()) == 1 &&
                         EVP_PKEY_derive_set_peer(context.get(), theirs) == 1 &&
                         EVP_PKEY_derive(context.get(), z->data(), &length) == 1 && length == z->size(),
                     Errc::malformed, "the storage key is not a point of its curve");
    return Secret::copy_of(*z);
}

/// TPM2B_ENCRYPTED_SECRET around a TPMS_ECC_POINT.
Bytes marshalled(const Point& point) {
    const TPMS_ECC_POINT out{.x = tpm2b_of<TPM2B_ECC_PARAMETER>(x_of(point)),
                             .y = tpm2b_of<TPM2B_ECC_PARAMETER>(ByteView(point).subspan(1 + width))};
    TPM2B_ENCRYPTED_SECRET secret{};
    std::size_t used = 0;
    if (Tss2_MU_TPMS_ECC_POINT_Marshal(&out, secret.secret, sizeof secret.secret, &used) != TSS2_RC_SUCCESS)
        throw Error(Errc::malformed, "a point that cannot be marshalled");
    Bytes bytes{static_cast<std::uint8_t>(used >> 8U), static_cast<std::uint8_t>(used & 0xFFU)};
    append(bytes, ByteView(secret.secret).first(used));
    return bytes;
}

} // namespace

SharedSeed share_seed(const TPMT_PUBLIC& storage_key, std::string_view label) {
    const auto their_point = point_of(storage_key.unique.ecc);
    const auto theirs = public_key_at(their_point);
    const auto ours = ephemeral_key();
    const auto our_point = public_point(ours.get());
    const auto z = diffie_hellman(ours.get(), theirs.get());
    return {kdfe(z.view(), label, x_of(our_point), x_of(their_point)), marshalled(our_point)};
}

} // namespace sshtpm::keyfile
