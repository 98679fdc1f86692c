// SPDX-License-Identifier: MIT
#include "ssh/digest.hpp"

#include "ssh/openssl.hpp"

#include <openssl/crypto.h>

namespace sshtpm::ssh {

Bytes digest(Hash hash, ByteView data) {
    Bytes out(digest_size(hash));
    openssl::require(
        EVP_Digest(data.data(), data.size(), out.data(), nullptr, openssl::fetched(hash), nullptr) == 1,
        Errc::io, "OpenSSL could not make a digest");
    return out;
}

std::string openssl_version() {
    return OpenSSL_version(OPENSSL_VERSION);
}

} // namespace sshtpm::ssh
