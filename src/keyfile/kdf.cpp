#include "keyfile/kdf.hpp"

#include "keyfile/openssl.hpp"

#include <array>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/params.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t most = 32;

/// OSSL_PARAM has no const; OpenSSL does not write to an input.
OSSL_PARAM bytes_param(const char* name, ByteView value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}

OSSL_PARAM text_param(const char* name, std::string& value) {
    return OSSL_PARAM_construct_utf8_string(name, value.data(), 0);
}

Secret derive(const char* algorithm, const std::vector<OSSL_PARAM>& params, std::size_t bytes) {
    Wiped<std::array<std::uint8_t, most>> out;
    const openssl::Kdf kdf(EVP_KDF_fetch(nullptr, algorithm, nullptr));
    const openssl::KdfContext context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    openssl::require(bytes <= most && context &&
                         EVP_KDF_derive(context.get(), out->data(), bytes, params.data()) == 1,
                     Errc::io, "OpenSSL could not derive a key");
    return Secret::copy_of(ByteView(*out).first(bytes));
}

} // namespace

Secret kdfa(ByteView key, std::string_view label, ByteView context, std::size_t bytes) {
    std::string mac = "HMAC", digest = "SHA256", mode = "COUNTER";
    // OpenSSL writes the counter, the label, a zero byte, the context and the length in bits: the order of
    // KDFa.
    return derive("KBKDF",
                  {text_param(OSSL_KDF_PARAM_MAC, mac), text_param(OSSL_KDF_PARAM_DIGEST, digest),
                   text_param(OSSL_KDF_PARAM_MODE, mode), bytes_param(OSSL_KDF_PARAM_KEY, key),
                   bytes_param(OSSL_KDF_PARAM_SALT, bytes_of(label)),
                   bytes_param(OSSL_KDF_PARAM_INFO, context), OSSL_PARAM_construct_end()},
                  bytes);
}

Secret kdfe(ByteView z, std::string_view label, ByteView party_u, ByteView party_v) {
    std::string digest = "SHA256";
    Bytes info = copy_of(bytes_of(label));
    info.push_back(0);
    append(info, party_u);
    append(info, party_v);
    return derive("SSKDF",
                  {text_param(OSSL_KDF_PARAM_DIGEST, digest), bytes_param(OSSL_KDF_PARAM_KEY, z),
                   bytes_param(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()},
                  most);
}

} // namespace sshtpm::keyfile
