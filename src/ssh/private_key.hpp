// SPDX-License-Identifier: MIT
#pragma once
// Private keys that were made outside the TPM: in the files of OpenSSH and OpenSSL, and as ssh-add sends
// them.

#include "base/secret.hpp"
#include "ssh/certificate.hpp"

#include <optional>
#include <string>
#include <variant>

namespace sshtpm::ssh {

struct PrivateKey {
    PublicKey public_key;
    /// The content of a TPM's sensitive area (TPM 2.0 Part 2, 12.3.2.3): the scalar of an ECDSA key in the
    /// curve's width, one prime of an RSA key in half the modulus' width.
    Secret sensitive;
    std::string comment; ///< may be empty
};

struct NeedsPassphrase {}; ///< encrypted, and no passphrase was given
struct WrongPassphrase {};

using OpenedKey = std::variant<PrivateKey, NeedsPassphrase, WrongPassphrase>;

/// In bytes. Larger files are refused.
inline constexpr std::size_t max_private_key_file = 64 * 1024;

/// @param file in OpenSSH's format, PEM (SEC 1, PKCS#1) or PKCS#8, encrypted or not
/// @param passphrase null if it is not known
/// @throws Error(malformed) for a file without a private key; Error(unsupported) with the reason for Ed25519,
///     DSA, keys on security tokens, other curves, and RSA sizes other than 2048, 3072 and 4096
OpenedKey open_private_key(const Secret& file, const Secret* passphrase);

/// A private key as in SSH_AGENTC_ADD_IDENTITY (RFC 9987 section 5.2): with its public half or with its
/// certificate.
struct KeyPair {
    PrivateKey key;
    std::optional<Certificate> certificate;
};

/// Reads the type's name, the fields and the comment. Checks that both halves belong together.
/// @throws Error(malformed | unsupported)
KeyPair read_key_pair(wire::Reader& reader);

} // namespace sshtpm::ssh
