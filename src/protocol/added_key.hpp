#pragma once
// A message that adds a private key, as it goes on to an agent behind this one.

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>

namespace sshtpm::protocol {

/// SSH_AGENTC_ADD_IDENTITY or SSH_AGENTC_ADD_ID_CONSTRAINED with this lifetime, or with the one that it has.
/// Nothing when the place of its constraints is not known: for types of keys that OpenSSH 9 does not have,
/// for constraints that are not understood, and for what does not parse.
std::optional<Bytes> with_lifetime(ByteView message, std::uint32_t seconds);

} // namespace sshtpm::protocol
