// SPDX-License-Identifier: MIT
#include "keyfile/kdf.hpp"

#include "base/openssl.hpp"

#include <cstdint>

#include <openssl/kdf.h>

namespace sshtpm::keyfile {

namespace {

using Kdf = openssl::Owner<EVP_KDF, EVP_KDF_free>;
using KdfContext = openssl::Owner<EVP_KDF_CTX, EVP_KDF_CTX_free>;

} // namespace

// OSSL_PARAM has no const; OpenSSL does not write to an input.

OSSL_PARAM bytes_param(const char* name, ByteView value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}

OSSL_PARAM text_param(const char* name, const char* value) {
    return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

Secret derive_key(const char* algorithm, const std::vector<OSSL_PARAM>& params, std::size_t size) {
    const Kdf kdf(EVP_KDF_fetch(nullptr, algorithm, nullptr));
    const KdfContext context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    Secret key(size);
    openssl::require(context && EVP_KDF_derive(context.get(), key.room().data(), size, params.data()) == 1,
                     Errc::io, "OpenSSL could not derive a key");
    key.grow(size);
    return key;
}

} // namespace sshtpm::keyfile
