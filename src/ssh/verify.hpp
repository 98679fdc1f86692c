#pragma once
// Checks a signature blob of any key type that a host or a user of OpenSSH 9.2 may have: what the agent
// needs for host keys that it does not hold, and ssh-add -T for whatever an agent lists.

#include "base/bytes.hpp"

namespace sshtpm::ssh {

/// True when `signature` (string algorithm, string value) is the key's over `data`. A certificate stands for
/// the key that it certifies. DSA, SHA-1 "ssh-rsa" and sk- keys, whatever does not parse, and an algorithm
/// that is not the key's are just false.
bool verify_signature(ByteView key_blob, ByteView signature, ByteView data);

} // namespace sshtpm::ssh
