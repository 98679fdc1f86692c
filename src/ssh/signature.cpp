// SPDX-License-Identifier: MIT
#include "ssh/signature.hpp"

#include "ssh/openssl.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace sshtpm::ssh {

namespace {

constexpr auto refused_key = "OpenSSL does not take this public key";

using EcdsaSig = openssl::Owner<ECDSA_SIG, ECDSA_SIG_free>;
using Params = openssl::Owner<OSSL_PARAM, OSSL_PARAM_free>;
using ParamsBuilder = openssl::Owner<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;

openssl::Pkey from_data(const char* algorithm, OSSL_PARAM_BLD* builder) {
    const Params params(OSSL_PARAM_BLD_to_param(builder));
    const openssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
    EVP_PKEY* key = nullptr;
    openssl::require(params && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                         EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1,
                     Errc::malformed, refused_key);
    return openssl::Pkey(key);
}

openssl::Pkey make_key(const PublicKey& key) {
    const ParamsBuilder builder(OSSL_PARAM_BLD_new());
    openssl::require(builder != nullptr, Errc::io, "OpenSSL has no memory for a key");
    if (const auto* numbers = std::get_if<RsaNumbers>(&key.numbers())) {
        const auto n = openssl::number_of(numbers->n);
        const auto e = openssl::number_of(numbers->e);
        openssl::require(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
                             OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1,
                         Errc::malformed, refused_key);
        return from_data("RSA", builder.get());
    }
    const auto point = key.sec1_point();
    openssl::require(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                                     openssl::group_name(key.type()), 0) == 1 &&
                         OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                                          point.data(), point.size()) == 1,
                     Errc::malformed, refused_key);
    return from_data("EC", builder.get());
}

/// A context that checks any number of signatures over digests of this hash.
openssl::PkeyContext make_context(EVP_PKEY* key, Hash hash) {
    openssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    openssl::require(context && EVP_PKEY_verify_init(context.get()) == 1 &&
                         EVP_PKEY_CTX_set_signature_md(context.get(), openssl::fetched(hash)) == 1,
                     Errc::malformed, refused_key);
    return context; // for RSA, OpenSSL's default padding is that of RSASSA-PKCS1-v1_5
}

/// Ecdsa-Sig-Value (RFC 3279 section 2.2.3), the input format of OpenSSL.
Bytes der(ByteView r, ByteView s) {
    const EcdsaSig pair(ECDSA_SIG_new());
    auto r_number = openssl::number_of(r);
    auto s_number = openssl::number_of(s);
    openssl::require(pair && ECDSA_SIG_set0(pair.get(), r_number.get(), s_number.get()) == 1, Errc::io,
                     "OpenSSL has no memory for a signature");
    static_cast<void>(r_number.release()); // the pair owns them from here on
    static_cast<void>(s_number.release());
    Bytes out(static_cast<std::size_t>(std::max(i2d_ECDSA_SIG(pair.get(), nullptr), 0)));
    auto* end = out.data();
    i2d_ECDSA_SIG(pair.get(), &end);
    return out;
}

/// @returns a number of the signature without leading zeros; nothing if it is zero or wider than its field
std::optional<ByteView> in_range(ByteView integer, std::size_t width) {
    const auto digits = without_leading_zeros(integer);
    return digits.empty() || digits.size() > width ? std::nullopt : std::optional(digits);
}

/// @returns the signature in the form for OpenSSL; nothing if the numbers cannot be a signature of this kind
///     of key
std::optional<Bytes> for_openssl(const PublicKey& key, const RawSignature& signature) {
    if (key.type() == KeyType::rsa) {
        const auto* rsa = std::get_if<RsaSignature>(&signature);
        const auto width = std::get<RsaNumbers>(key.numbers()).n.size();
        if (rsa == nullptr || !in_range(rsa->s, width))
            return std::nullopt;
        return fixed_width(rsa->s, width);
    }
    const auto* pair = std::get_if<EcdsaSignature>(&signature);
    if (pair == nullptr)
        return std::nullopt;
    const auto width = info(key.type()).coordinate_size;
    const auto r = in_range(pair->r, width);
    const auto s = in_range(pair->s, width);
    return r && s ? std::optional(der(*r, *s)) : std::nullopt;
}

} // namespace

Bytes encode_signature(const PublicKey& key, const SignatureAlgorithm& algorithm,
                       const RawSignature& signature) {
    wire::Writer value;
    if (key.type() == KeyType::rsa && std::holds_alternative<RsaSignature>(signature)) {
        value.raw(
            fixed_width(std::get<RsaSignature>(signature).s, std::get<RsaNumbers>(key.numbers()).n.size()));
    } else if (key.type() != KeyType::rsa && std::holds_alternative<EcdsaSignature>(signature)) {
        const auto& [r, s] = std::get<EcdsaSignature>(signature);
        value.mpint(r).mpint(s);
    } else {
        malformed("a signature of another kind than its key");
    }
    return wire::Writer().text(algorithm.name).string(value.bytes()).bytes();
}

struct Verifier::Key {
    PublicKey public_key;
    openssl::Pkey pkey;
    std::array<openssl::PkeyContext, 3> contexts; ///< by hash, each made at its first use
};

Verifier::Verifier(const PublicKey& key) : key_(std::make_unique<Key>(Key{key, make_key(key), {}})) {}

Verifier::Verifier(Verifier&&) noexcept = default;
Verifier& Verifier::operator=(Verifier&&) noexcept = default;
Verifier::~Verifier() = default;

bool Verifier::verify(Hash hash, ByteView digest, const RawSignature& signature) const {
    const auto encoded = for_openssl(key_->public_key, signature);
    if (!encoded || digest.size() != digest_size(hash))
        return false;
    auto& context = key_->contexts.at(static_cast<std::size_t>(hash));
    if (!context)
        context = make_context(key_->pkey.get(), hash);
    if (EVP_PKEY_verify(context.get(), encoded->data(), encoded->size(), digest.data(), digest.size()) == 1)
        return true;
    ERR_clear_error();
    return false;
}

} // namespace sshtpm::ssh
