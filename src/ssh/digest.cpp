#include "ssh/digest.hpp"

#include "ssh/openssl.hpp"

#include <array>

namespace sshtpm::ssh {

namespace openssl {

const EVP_MD* fetched(Hash hash) {
    static const std::array<Digest, 3> digests{
        Digest(EVP_MD_fetch(nullptr, "SHA2-256", nullptr)),
        Digest(EVP_MD_fetch(nullptr, "SHA2-384", nullptr)),
        Digest(EVP_MD_fetch(nullptr, "SHA2-512", nullptr)),
    };
    const auto* algorithm = digests.at(static_cast<std::size_t>(hash)).get();
    require(algorithm != nullptr, Errc::unsupported, "OpenSSL has no SHA-2");
    return algorithm;
}

Bytes digest_by(const EVP_MD* algorithm, ByteView data) {
    Bytes out(static_cast<std::size_t>(EVP_MD_get_size(algorithm)));
    require(EVP_Digest(data.data(), data.size(), out.data(), nullptr, algorithm, nullptr) == 1, Errc::io,
            "OpenSSL could not make a digest");
    return out;
}

} // namespace openssl

Bytes digest(Hash hash, ByteView data) {
    return openssl::digest_by(openssl::fetched(hash), data);
}

} // namespace sshtpm::ssh
