// SPDX-License-Identifier: MIT
#pragma once
// The key types that this agent can hold, and their signature algorithms.

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sshtpm::ssh {

enum class KeyType { ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa };

enum class Hash { sha256, sha384, sha512 };

/// In bytes. Every digest of this hash has this size.
std::size_t digest_size(Hash hash);

/// A key type of RFC 5656 (ECDSA) or RFC 4253 (RSA).
struct KeyTypeInfo {
    KeyType type;
    std::string_view name;             ///< in a key blob
    std::string_view certificate_name; ///< in a certificate blob
    std::string_view label;            ///< in the output of ssh-keygen -l
    std::string_view curve;            ///< RFC 5656 identifier; empty for RSA
    unsigned bits;                     ///< of the curve; 0 for RSA
    std::size_t coordinate_size;       ///< bytes of a coordinate or a scalar; 0 for RSA
    Hash hash;                         ///< of signatures; for RSA the default
};

/// In the order of KeyType.
inline constexpr std::array<KeyTypeInfo, 4> key_types{{
    {KeyType::ecdsa_p256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ECDSA",
     "nistp256", 256, 32, Hash::sha256},
    {KeyType::ecdsa_p384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ECDSA",
     "nistp384", 384, 48, Hash::sha384},
    {KeyType::ecdsa_p521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ECDSA",
     "nistp521", 521, 66, Hash::sha512},
    // RFC 8332 section 3: an RSA key blob says "ssh-rsa" with every hash.
    {KeyType::rsa, "ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "RSA", "", 0, 0, Hash::sha256},
}};

constexpr const KeyTypeInfo& info(KeyType type) {
    return key_types[static_cast<std::size_t>(type)];
}

/// Finds the type by its name in a key blob; nothing for other names.
std::optional<KeyType> key_type_named(std::string_view name);
/// Finds the type by its name in a certificate blob; nothing for other names.
std::optional<KeyType> key_type_of_certificate(std::string_view name);

/// Flags of SSH_AGENTC_SIGN_REQUEST (RFC 9987).
inline constexpr std::uint32_t SSH_AGENT_RSA_SHA2_256 = 0x02;
inline constexpr std::uint32_t SSH_AGENT_RSA_SHA2_512 = 0x04;

struct SignatureAlgorithm {
    std::string_view name; ///< in a signature blob: "rsa-sha2-256"
    Hash hash;
    std::uint32_t flag = 0; ///< of a sign request for it; 0 where the key has no other algorithm

    friend bool operator==(const SignatureAlgorithm&, const SignatureAlgorithm&) = default;
};

/// The algorithms that OpenSSH uses with a key by default, in its order of preference (ssh_config(5),
/// PubkeyAcceptedAlgorithms): both of RFC 8332 for RSA, one for each ECDSA curve.
std::span<const SignatureAlgorithm> algorithms_of(KeyType type);

/// The algorithm for the flags of a sign request. With both RSA flags it is SHA-256; other flags are ignored.
/// @returns nothing for an RSA key without a SHA-2 flag: the client asks for SHA-1, which this agent refuses
std::optional<SignatureAlgorithm> choose_algorithm(KeyType type, std::uint32_t flags);

} // namespace sshtpm::ssh
