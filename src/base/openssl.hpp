// SPDX-License-Identifier: MIT
#pragma once
// Owners of OpenSSL's objects, for the modules ssh, keyfile and attest. The module base does not link
// OpenSSL.

#include "base/error.hpp"

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

namespace sshtpm::openssl {

template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};

/// The function that frees the object is a part of the type.
template <class T, auto free_function>
using Owner = std::unique_ptr<T, Free<free_function>>;

using Bio = Owner<BIO, BIO_free>;
using CipherContext = Owner<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
/// Wiped when it is freed, because some numbers are secret.
using Number = Owner<BIGNUM, BN_clear_free>;
using Pkey = Owner<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

/// Throws Error(code, message) on failure. Empties OpenSSL's error queue, so that a later call does not find
/// old errors.
inline void require(bool success, Errc code, const char* message) {
    if (success)
        return;
    ERR_clear_error();
    throw Error(code, message);
}

} // namespace sshtpm::openssl
