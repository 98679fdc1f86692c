#pragma once
// Opens a private key that lives outside the TPM, for import: the containers that OpenSSH and OpenSSL write.
// The numbers come out in guarded memory.

#include "base/secret.hpp"
#include "ssh/public_key.hpp"

#include <string>
#include <variant>

namespace sshtpm::ssh {

struct PrivateKey {
    PublicKey public_key;
    /// What a TPM's sensitive area holds (TPM 2.0 Part 2, 12.3.2.3): of an ECDSA key the scalar, in the
    /// curve's fixed width; of an RSA key one prime factor, in half the modulus' width.
    Secret sensitive;
    std::string comment; ///< empty where the container has none
};

struct NeedsPassphrase {}; ///< encrypted, and no passphrase was given
struct WrongPassphrase {};

using OpenedKey = std::variant<PrivateKey, NeedsPassphrase, WrongPassphrase>;

/// The largest file that is taken for a private key.
inline constexpr std::size_t max_private_key_file = 64 * 1024;

/// @param file the file's bytes: OpenSSH format, PEM (SEC1, PKCS#1) or PKCS#8, each plain or encrypted.
/// @param passphrase null when none is known.
/// @throws Error(malformed) for what is no private key; Error(unsupported) with the reason for Ed25519, DSA,
///     keys on security tokens, other curves, RSA sizes other than 2048, 3072 and 4096.
OpenedKey open_private_key(const Secret& file, const Secret* passphrase);

} // namespace sshtpm::ssh
