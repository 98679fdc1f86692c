#pragma once
// Owners of OpenSSL objects, for this module alone.

#include "base/error.hpp"
#include "base/owner.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

namespace sshtpm::keyfile::openssl {

using Bio = Owner<BIO, BIO_free>;
using CipherContext = Owner<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using Kdf = Owner<EVP_KDF, EVP_KDF_free>;
using KdfContext = Owner<EVP_KDF_CTX, EVP_KDF_CTX_free>;
using Pkey = Owner<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

/// @throws Error on failure, and empties OpenSSL's error queue.
inline void require(bool success, Errc code, const char* message) {
    if (success)
        return;
    ERR_clear_error();
    throw Error(code, message);
}

} // namespace sshtpm::keyfile::openssl
