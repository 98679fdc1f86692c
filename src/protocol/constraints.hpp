// SPDX-License-Identifier: MIT
#pragma once
// The constraints on a key's use that ssh-add sends with it (RFC 9987 section 5.2.7, PROTOCOL.agent).

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::wire {
class Reader;
class Writer;
} // namespace sshtpm::wire

namespace sshtpm::protocol {

enum ConstraintNumber : std::uint8_t {
    SSH_AGENT_CONSTRAIN_LIFETIME = 1,
    SSH_AGENT_CONSTRAIN_CONFIRM = 2,
    SSH_AGENT_CONSTRAIN_EXTENSION = 255,
};

/// The key of a host, or of a certification authority for hosts.
struct KeySpec {
    Bytes blob;
    bool is_ca = false;

    friend bool operator==(const KeySpec&, const KeySpec&) = default;
};

/// One end of a hop. An origin has no user, and an empty host at the origin means this machine.
struct Hop {
    std::string user; ///< a pattern with '*' and '?' (ssh::match_pattern); empty: any
    std::string host; ///< the name in host certificates; not compared for plain keys
    std::vector<KeySpec> keys = {};

    friend bool operator==(const Hop&, const Hop&) = default;
};

/// restrict-destination-v00@openssh.com (PROTOCOL.agent section 2): the key may be used to log in from one
/// host to another. ssh-add sends each constraint, and each end of it, in a string of its own, which
/// PROTOCOL.agent does not mention.
struct DestinationConstraint {
    Hop from, to;

    friend bool operator==(const DestinationConstraint&, const DestinationConstraint&) = default;
};

struct Constraints {
    std::optional<std::uint32_t> lifetime = {}; ///< seconds; 0 expires immediately, as in OpenSSH's agent
    bool confirm = false;
    std::vector<DestinationConstraint> destinations = {}; ///< empty: anywhere

    friend bool operator==(const Constraints&, const Constraints&) = default;
};

/// True if the constraints allow a use that `before` did not allow; lifetimes are not compared.
bool loosens(const Constraints& constraints, const Constraints& before);

inline constexpr std::size_t max_destinations = 1024; // as in OpenSSH's agent
inline constexpr std::size_t max_user_pattern = 256;

/// Reads constraints up to the end of the message.
/// @throws Error(malformed | unsupported) for a constraint that comes twice, is unknown, or is not
///     well-formed. As in OpenSSH, from.user must be empty, from.host and from.keys both empty or neither,
///     to.host and to.keys not empty, every key well-formed, and reserved fields empty. Unlike in
///     OpenSSH, there must be a destination. The extensions for FIDO keys (sk-provider@openssh.com) and
///     smartcards (associated-certs-v00@openssh.com) are unknown, because no key in a TPM has them.
Constraints read_constraints(wire::Reader& reader);

void write_constraints(wire::Writer& writer, const Constraints& constraints);

} // namespace sshtpm::protocol
