#pragma once
// What a key may be used for, as ssh-add sends it with the key (RFC 9987 section 5.2.7, PROTOCOL.agent).

#include "base/bytes.hpp"

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

/// A host key, or the key of a certification authority of host keys.
struct KeySpec {
    Bytes blob;
    bool is_ca = false;

    friend bool operator==(const KeySpec&, const KeySpec&) = default;
};

/// One end of a hop. As the origin, an empty host stands for this machine, and the user is empty.
struct Hop {
    std::string user; ///< one pattern with '*' and '?' (ssh::match_pattern); empty: any
    std::string host; ///< the name that a host certificate must be for; plain keys speak for themselves
    std::vector<KeySpec> keys = {};

    friend bool operator==(const Hop&, const Hop&) = default;
};

/// restrict-destination-v00@openssh.com (PROTOCOL.agent section 2): the key may be used from one host to
/// another. On the wire each constraint and each end of it is a string around its fields, which the text of
/// PROTOCOL.agent leaves out and ssh-add writes.
struct DestinationConstraint {
    Hop from, to;

    friend bool operator==(const DestinationConstraint&, const DestinationConstraint&) = default;
};

struct Constraints {
    std::optional<std::uint32_t> lifetime = {}; ///< seconds; 0 ends at once, as in OpenSSH's agent
    bool confirm = false;
    std::vector<DestinationConstraint> destinations = {}; ///< empty: anywhere

    friend bool operator==(const Constraints&, const Constraints&) = default;
};

/// True for constraints that allow a use which `before` does not, whatever their lifetimes.
bool loosens(const Constraints& constraints, const Constraints& before);

inline constexpr std::size_t max_destinations = 1024; // as in OpenSSH's agent
inline constexpr std::size_t max_user_pattern = 256;

/// Takes all that is left. A key whose constraints are not understood must not be added.
/// @throws Error(malformed | unsupported): a constraint that comes twice, is not known, or is not well-formed
///     (as OpenSSH has it: from.user empty, from host and keys both or neither, to host and keys both, every
///     key of a known type, reserved fields empty; and, stricter, at least one destination). Of the
///     extensions sk-provider@openssh.com is for FIDO keys and associated-certs-v00@openssh.com for
///     smartcards: neither is for a key that is held here.
Constraints read_constraints(wire::Reader& reader);

/// The inverse.
void write_constraints(wire::Writer& writer, const Constraints& constraints);

} // namespace sshtpm::protocol
