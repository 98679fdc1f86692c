#pragma once
// Key blobs that others list, judged as OpenSSH's programs do: one that they cannot read costs them the whole
// list, not that key alone.

#include "base/bytes.hpp"

#include <optional>
#include <string>

namespace sshtpm::ssh {

/// Why a list of keys must not have this blob: it is of a type that OpenSSH knows, and does not parse as
/// sshkey_from_blob of OpenSSH 9.2 and later has it; or its type has a name that these take for another's.
/// Nothing when the list may have it: it parses, or its type is one that OpenSSH skips because it is unknown.
/// The CA's signature of a certificate is checked, too: OpenSSH does that while it parses.
std::optional<std::string> spoils_list(ByteView blob);

} // namespace sshtpm::ssh
