#pragma once
// Owners of OpenSSL's objects, for the modules ssh and keyfile. The module base does not link OpenSSL.

#include "base/error.hpp"
#include "base/owner.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

namespace sshtpm::openssl {

using Bio = Owner<BIO, BIO_free>;
using CipherContext = Owner<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
/// Wiped at its end, whether it is secret or not.
using Number = Owner<BIGNUM, BN_clear_free>;
using Pkey = Owner<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

/// Throws the error on failure. Empties OpenSSL's error queue, so that a later call does not find old errors.
inline void require(bool success, Errc code, const char* message) {
    if (success)
        return;
    ERR_clear_error();
    throw Error(code, message);
}

} // namespace sshtpm::openssl
