#pragma once
// The key types this agent can hold and the signature algorithms they answer to: one table each.

#include "base/bytes.hpp"

#include <optional>
#include <string_view>

namespace sshtpm::ssh {

enum class KeyType { ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa };

enum class Hash { sha256, sha384, sha512 };

/// Bytes that the hash gives.
std::size_t digest_size(Hash hash);

/// What RFC 5656 (ECDSA) and RFC 4253 (RSA) say of a key type.
struct KeyTypeInfo {
    KeyType type;
    std::string_view name;             ///< in a key blob: "ecdsa-sha2-nistp256", "ssh-rsa"
    std::string_view certificate_name; ///< in a certificate blob: "ecdsa-sha2-nistp256-cert-v01@openssh.com"
    std::string_view label;            ///< what ssh-keygen -l prints: "ECDSA", "RSA"
    std::string_view curve;            ///< RFC 5656 identifier: "nistp256"; empty for RSA
    unsigned bits;                     ///< of the curve; 0 for RSA
    std::size_t coordinate_size;       ///< bytes of a coordinate or a scalar; 0 for RSA
    Hash hash; ///< that the key signs with; for RSA the one used when the client has no wish
};

const KeyTypeInfo& info(KeyType type);
/// By the name in a key blob.
std::optional<KeyType> key_type_named(std::string_view name);
/// By the name in a certificate blob.
std::optional<KeyType> key_type_of_certificate(std::string_view name);

struct SignatureAlgorithm {
    std::string_view name; ///< in a signature blob: "rsa-sha2-256"
    Hash hash;

    friend bool operator==(const SignatureAlgorithm&, const SignatureAlgorithm&) = default;
};

/// Flags of SSH_AGENTC_SIGN_REQUEST (RFC 9987).
inline constexpr std::uint32_t SSH_AGENT_RSA_SHA2_256 = 0x02;
inline constexpr std::uint32_t SSH_AGENT_RSA_SHA2_512 = 0x04;

/// The algorithm that a sign request asks for; nothing when it asks for what must not be made (an RSA key
/// without a SHA-2 flag would mean SHA-1, "ssh-rsa"). With both RSA flags, SHA-256; other flags are ignored.
std::optional<SignatureAlgorithm> choose_algorithm(KeyType type, std::uint32_t flags);

} // namespace sshtpm::ssh
