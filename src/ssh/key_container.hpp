#pragma once
// The containers that private keys come in, and what is asked of the numbers in them. Not for other
// rooms: they have open_private_key() and read_key_pair().

#include "ssh/openssl.hpp"
#include "ssh/private_key.hpp"

#include <string_view>

namespace sshtpm::ssh {

/// "OPENSSH PRIVATE KEY" (PROTOCOL.key of OpenSSH). Types that cannot be used are refused by the public half,
/// which is never encrypted: nobody is asked for a passphrase in vain.
/// @throws Error(malformed | unsupported)
OpenedKey read_openssh_key(std::string_view text, const Secret* passphrase);
bool is_openssh_key(std::string_view text) noexcept;

/// "EC PRIVATE KEY" (SEC 1, RFC 5915) and "RSA PRIVATE KEY" (PKCS#1, RFC 8017), encrypted by the headers of
/// RFC 1421 as OpenSSL uses them; "PRIVATE KEY" and "ENCRYPTED PRIVATE KEY" (PKCS#8, RFC 5958).
/// @throws Error(malformed | unsupported)
OpenedKey read_pem_key(std::string_view text, const Secret* passphrase);

/// Wiped when it goes, public numbers too: one kind of owner leaves nothing to mix up.
using Number = Owner<BIGNUM, BN_clear_free>;

Number number_of(ByteView integer);

/// @throws Error(malformed) when the scalar is not that of the public key.
PrivateKey ecdsa_private_key(PublicKey public_key, const BIGNUM* scalar);

/// Any size of modulus may be given, and null for a prime that is missing. The private exponent is not asked
/// for: a TPM has one prime and the public numbers, and finds the rest itself.
/// @throws Error(unsupported) for what a TPM cannot hold, Error(malformed) when the primes are not those of
///     the modulus.
PrivateKey rsa_private_key(const BIGNUM* n, const BIGNUM* e, const BIGNUM* p, const BIGNUM* q);

/// Refuses a kind of key by its name, with the reason: Ed25519, DSA and others have the names that OpenSSH
/// ("ssh-ed25519") and OpenSSL ("ED25519") give them.
[[noreturn]] void refuse_type(std::string_view name);

inline constexpr auto damaged_private_key = "the private key is damaged";

} // namespace sshtpm::ssh
