// SPDX-License-Identifier: MIT
#pragma once
// Checks signatures, certificates and listed keys of other programs as OpenSSH 9.2 does.

#include "base/bytes.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace sshtpm::ssh {

/// False for a key or a certificate whose signatures `verify_signature` cannot check.
/// @throws Error(malformed) for a blob without the name of a type
bool can_verify(ByteView key_blob);

/// True if the key has made `signature` (string algorithm, string value) over `data`. For a certificate, the
/// certified key counts. False for signatures of DSA, sk- and unknown keys and with SHA-1, for an algorithm
/// of another type of key, and for malformed input.
bool verify_signature(ByteView key_blob, ByteView signature, ByteView data);

/// True if the blob's type is a type of certificate.
bool is_certificate(ByteView blob);

/// True for a key, not a certificate, of RSA, DSA, ECDSA or Ed25519, the types that every client knows.
bool is_plain_key(ByteView blob);

/// Checks a host certificate as sshkey_cert_check_host of OpenSSH does: `authority` has signed it, it is
/// valid at `now`, it has no critical options (none is defined for hosts), and the pattern of a principal
/// matches `host`. False for malformed input, and for an authority with an sk- key.
bool certifies_host(ByteView certificate, ByteView authority, std::string_view host,
                    std::chrono::system_clock::time_point now);

/// @returns the reason why this blob must not be in the list of an agent; nothing if it may be
/// OpenSSH's programs reject a whole list if they cannot parse a blob of a known type (sshkey_from_blob,
/// which also checks the CA's signature of a certificate), or if they take the name of a type for another
/// type. They skip unknown types.
std::optional<std::string> spoils_list(ByteView blob);

} // namespace sshtpm::ssh
