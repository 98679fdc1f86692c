#pragma once
// Judges signatures, certificates and listed keys of other programs as OpenSSH 9.2 does.

#include "base/bytes.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace sshtpm::ssh {

/// True when `signature` (string algorithm, string value) is the key's over `data`. A certificate stands for
/// the key that it certifies. False for signatures with DSA, with SHA-1 and of sk- keys, for an algorithm of
/// another type of key, and for malformed input.
bool verify_signature(ByteView key_blob, ByteView signature, ByteView data);

/// True for a blob whose type is a type of certificate.
bool is_certificate(ByteView blob);

/// Judges a host certificate as sshkey_cert_check_host of OpenSSH does: `authority` has signed it, it is
/// valid at `now`, has no critical options (none is defined for hosts), and the pattern of a principal
/// matches `host`. False for malformed input, and for an authority with an sk- key.
bool certifies_host(ByteView certificate, ByteView authority, std::string_view host,
                    std::chrono::system_clock::time_point now);

/// Why this blob must not be in the list of an agent; nothing when it may. OpenSSH's programs give up a list
/// in which they cannot parse a blob of a known type (sshkey_from_blob, which also checks the CA's signature
/// of a certificate), or in which a type has a name that they take for another type. They skip unknown types.
std::optional<std::string> spoils_list(ByteView blob);

} // namespace sshtpm::ssh
