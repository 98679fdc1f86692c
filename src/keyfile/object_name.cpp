// SPDX-License-Identifier: MIT
#include "keyfile/object_name.hpp"

#include "base/openssl.hpp"
#include "keyfile/hashes.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"

#include <cstdint>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t algorithm_size = 2; ///< in bytes, in front of the digest

/// @returns null for a hash that makes no Names here
const Hash* name_hash(TPMI_ALG_HASH algorithm) noexcept {
    const auto* const hash = find_hash(algorithm);
    return hash == nullptr || hash->openssl_name == nullptr || algorithm == TPM2_ALG_SHA1 ? nullptr : hash;
}

} // namespace

Bytes object_name(const TPMT_PUBLIC& area) {
    const auto* const hash = name_hash(area.nameAlg);
    if (hash == nullptr)
        unsupported("an object has the name algorithm " + algorithm_name(area.nameAlg) +
                    ", where SHA-256, SHA-384 or SHA-512 is wanted");
    const auto tpm2b = marshal_public(area);
    const auto content = content_of_tpm2b(tpm2b);
    Bytes name(algorithm_size + hash->digest_size);
    name[0] = static_cast<std::uint8_t>(area.nameAlg >> 8U);
    name[1] = static_cast<std::uint8_t>(area.nameAlg & 0xFFU);
    openssl::require(EVP_Q_digest(nullptr, hash->openssl_name, nullptr, content.data(), content.size(),
                                  &name[algorithm_size], nullptr) == 1,
                     Errc::io, "OpenSSL could not hash the public area");
    return name;
}

bool is_object_name(ByteView name) noexcept {
    if (name.size() < algorithm_size)
        return false;
    const auto* const hash = name_hash(static_cast<TPMI_ALG_HASH>(name[0] << 8U | name[1]));
    return hash != nullptr && name.size() == algorithm_size + hash->digest_size;
}

} // namespace sshtpm::keyfile
