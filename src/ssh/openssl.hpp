#pragma once
// Owners for the OpenSSL objects of this room, and the digests that it has fetched. Not for other rooms.

#include "base/error.hpp"
#include "base/owner.hpp"
#include "ssh/algorithm.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace sshtpm::ssh::openssl {

using Bignum = Owner<BIGNUM, BN_free>;
using Digest = Owner<EVP_MD, EVP_MD_free>;
using DigestContext = Owner<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcGroup = Owner<EC_GROUP, EC_GROUP_free>;
using EcPoint = Owner<EC_POINT, EC_POINT_free>;
using EcdsaSig = Owner<ECDSA_SIG, ECDSA_SIG_free>;
using Params = Owner<OSSL_PARAM, OSSL_PARAM_free>;
using ParamsBuilder = Owner<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Pkey = Owner<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

/// Throws when OpenSSL says no, and leaves its error queue empty: a later call must not trip over it.
inline void require(bool success, Errc code, const char* message) {
    if (success)
        return;
    ERR_clear_error();
    throw Error(code, message);
}

/// Fetched once for the life of the program: a fetch costs more than the digest of a short message.
const EVP_MD* fetched(Hash hash);

/// The digest of the data by any algorithm.
Bytes digest_by(const EVP_MD* algorithm, ByteView data);

} // namespace sshtpm::ssh::openssl
