#pragma once
// What OpenSSL leaves behind in memory that it has freed.

namespace sshtpm::ssh {

/// From here on OpenSSL wipes all memory that it frees. Its readers of PKCS#1 and SEC 1 (3.0 at least) do
/// not: they leave the numbers of a private key there. To be called before anything else uses OpenSSL, by a
/// program that opens private keys.
/// @returns false when OpenSSL has taken memory already, and nothing was changed.
bool wipe_what_openssl_frees() noexcept;

} // namespace sshtpm::ssh
