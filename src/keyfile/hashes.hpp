// SPDX-License-Identifier: MIT
#pragma once
// The hash algorithms of TPMs, from the TCG Algorithm Registry.

#include <algorithm>
#include <array>
#include <cstddef>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

struct Hash {
    TPMI_ALG_HASH algorithm;
    std::size_t digest_size;  ///< in bytes
    const char* openssl_name; ///< null for those that are read in structures and not computed
};

inline constexpr std::array<Hash, 8> hashes{{
    {TPM2_ALG_SHA1, 20, "SHA1"},
    {TPM2_ALG_SHA256, 32, "SHA256"},
    {TPM2_ALG_SHA384, 48, "SHA384"},
    {TPM2_ALG_SHA512, 64, "SHA512"},
    {TPM2_ALG_SM3_256, 32, nullptr},
    {TPM2_ALG_SHA3_256, 32, nullptr},
    {TPM2_ALG_SHA3_384, 48, nullptr},
    {TPM2_ALG_SHA3_512, 64, nullptr},
}};

inline constexpr std::size_t longest_digest = 64; ///< in bytes

/// @returns null for any other number
constexpr const Hash* find_hash(TPMI_ALG_HASH algorithm) noexcept {
    const auto found = std::ranges::find(hashes, algorithm, &Hash::algorithm);
    return found == hashes.end() ? nullptr : &*found;
}

} // namespace sshtpm::keyfile
