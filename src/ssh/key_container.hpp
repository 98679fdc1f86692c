// SPDX-License-Identifier: MIT
#pragma once
// The containers of private keys, and the checks of the numbers in them. For this module only: others use
// open_private_key() and read_key_pair().

#include "ssh/openssl.hpp"
#include "ssh/private_key.hpp"

#include <string_view>

namespace sshtpm::ssh {

/// "OPENSSH PRIVATE KEY" (PROTOCOL.key of OpenSSH). The public half is not encrypted: a type that cannot be
/// used is refused before a passphrase is needed.
/// @param text begins with the BEGIN line
/// @throws Error(malformed | unsupported)
OpenedKey read_openssh_key(std::string_view text, const Secret* passphrase);

/// "EC PRIVATE KEY" (SEC 1, RFC 5915) and "RSA PRIVATE KEY" (PKCS#1, RFC 8017), which may be encrypted with
/// the headers of RFC 1421 as OpenSSL uses them; "PRIVATE KEY" and "ENCRYPTED PRIVATE KEY" (PKCS#8, RFC
/// 5958).
/// @param text begins with the BEGIN line
/// @throws Error(malformed | unsupported)
OpenedKey read_pem_key(std::string_view text, const Secret* passphrase);

/// @throws Error(malformed) if the scalar does not belong to the public key
PrivateKey ecdsa_private_key(PublicKey public_key, const BIGNUM* scalar);

/// The private exponent is not needed: a TPM takes one prime and the public numbers, and computes the rest.
/// @param p, q null if the key does not have them
/// @throws Error(unsupported) for a key that a TPM cannot hold, Error(malformed) for primes of another
///     modulus
PrivateKey rsa_private_key(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q);

/// Throws Error(unsupported) with the reason why this type of key is refused.
/// @param name in the words of OpenSSH ("ssh-ed25519") or of OpenSSL ("ED25519")
[[noreturn]] void refuse_type(std::string_view name);

inline constexpr auto damaged_private_key = "the private key is damaged";

} // namespace sshtpm::ssh
