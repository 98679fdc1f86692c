// SPDX-License-Identifier: MIT
#pragma once
// OpenSSH certificates (PROTOCOL.certkeys), and the fields of keys and certificates of every type that
// OpenSSH 9.2 or 10.6 knows.

#include "ssh/public_key.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::ssh {

/// A certificate of a key that this agent can hold.
struct Certificate {
    Bytes blob;           ///< the whole certificate, unchanged
    PublicKey public_key; ///< the certified key
    std::string key_id;
    std::uint64_t valid_before = forever; ///< seconds since 1970, exclusive

    /// The value of `valid_before` for a certificate without an end.
    static constexpr std::uint64_t forever = ~std::uint64_t{0};

    /// True from the end of its time on.
    bool has_expired(std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

    /// Parses the whole blob. Does not check the CA's signature, because the server does.
    /// @throws Error(malformed | unsupported)
    static Certificate from_blob(ByteView blob);
};

// The rest is for keys and certificates that this agent cannot hold, too.

/// The fields that follow the type's name.
enum class KeyFields {
    held,            ///< the fields of a key type that this agent can hold
    dsa,             ///< RFC 4253 section 6.6: mpint p, q, g, y
    ed25519,         ///< RFC 8709 section 4: string of 32 bytes
    mldsa44_ed25519, ///< OpenSSH 10.6: string of both public keys
};

struct KeyFormat {
    std::string_view name;             ///< in a key blob
    std::string_view certificate_name; ///< in a certificate blob
    std::string_view label;            ///< in the output of ssh-keygen -l
    KeyFields fields;
    KeyType held = KeyType::rsa;  ///< the type, for KeyFields::held
    bool has_application = false; ///< an sk- key: another string follows the fields (PROTOCOL.u2f)
};

/// Finds the format by its name in a key blob; null for other names.
const KeyFormat* key_format_named(std::string_view name);
/// Finds the format by its name in a certificate blob; null for other names.
const KeyFormat* key_format_of_certificate(std::string_view name);

/// Reads and checks the fields that follow the type's name. @returns the size of the key in bits
/// @throws Error(malformed | unsupported)
unsigned read_key_fields(wire::Reader& reader, const KeyFormat& format);

inline constexpr std::uint32_t user_role = 1;
inline constexpr std::uint32_t host_role = 2;

/// A certificate of any type; the views point into the blob.
struct CertificateBlob {
    const KeyFormat* format = nullptr;
    unsigned bits = 0;
    Bytes plain_blob; ///< of the certified key
    std::uint32_t role = 0;
    std::string_view key_id;
    std::vector<std::string_view> principals;
    std::uint64_t valid_after = 0;  ///< seconds since 1970
    std::uint64_t valid_before = 0; ///< exclusive; 2^64-1 means forever
    bool has_critical_options = false;
    ByteView extensions;                  ///< pairs of a name and its data
    ByteView signature_key;               ///< of the CA
    ByteView signed_part;                 ///< all fields but the signature
    ByteView signature;                   ///< of the CA; not checked
    std::string_view signature_algorithm; ///< the name in it: "rsa-sha2-512"

    /// The value of an extension that ssh-keygen has made of -O extension:NAME=VALUE.
    /// @returns nothing if the certificate does not have it, or in another form
    std::optional<std::string_view> extension(std::string_view name) const;
    bool has_begun(std::chrono::system_clock::time_point now) const;
    bool has_expired(std::chrono::system_clock::time_point now) const;
};

/// Parses the whole certificate.
/// @throws Error(malformed | unsupported)
CertificateBlob read_certificate(ByteView blob);

} // namespace sshtpm::ssh
