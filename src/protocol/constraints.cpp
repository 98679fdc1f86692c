// SPDX-License-Identifier: MIT
#include "protocol/constraints.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "ssh/fingerprint.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>

namespace sshtpm::protocol {

namespace {

constexpr std::string_view restrict_destination = "restrict-destination-v00@openssh.com";

/// Refuses a reserved field that is not empty: a later version may put a restriction into it.
void read_reserved(wire::Reader& reader) {
    if (!reader.string().empty())
        unsupported("a destination constraint with unknown fields");
}

KeySpec read_key_spec(wire::Reader& reader) {
    const auto blob = reader.string();
    ssh::describe(blob); // refuses a malformed key, because it would match no host
    return {copy_of(blob), reader.boolean()};
}

Hop read_hop(wire::Reader reader) {
    Hop hop;
    hop.user = reader.c_text();
    hop.host = reader.c_text();
    read_reserved(reader);
    if (hop.user.size() > max_user_pattern)
        malformed("the user of a destination constraint is longer than 256 bytes");
    while (!reader.empty())
        hop.keys.push_back(read_key_spec(reader));
    return hop;
}

DestinationConstraint read_destination(wire::Reader reader) {
    DestinationConstraint destination;
    destination.from = read_hop(wire::Reader(reader.string()));
    destination.to = read_hop(wire::Reader(reader.string()));
    read_reserved(reader);
    reader.expect_end();
    const auto& [from, to] = destination;
    if (!from.user.empty() || from.host.empty() != from.keys.empty())
        malformed("a destination constraint whose origin is inconsistent");
    if (to.host.empty() || to.keys.empty())
        malformed("a destination constraint without a destination");
    return destination;
}

std::vector<DestinationConstraint> read_destinations(wire::Reader reader) {
    std::vector<DestinationConstraint> destinations;
    while (!reader.empty()) {
        if (destinations.size() == max_destinations)
            malformed("more than 1024 destination constraints");
        destinations.push_back(read_destination(wire::Reader(reader.string())));
    }
    if (destinations.empty()) // for OpenSSH's agent, such a key may be used anywhere
        malformed("a destination constraint that names no destination");
    return destinations;
}

void read_extension(wire::Reader& reader, Constraints& constraints) {
    const auto name = reader.c_text();
    if (name != restrict_destination)
        unsupported("key constraint \"" + printable(name) + "\" is not supported");
    if (!constraints.destinations.empty())
        malformed("the destination constraints come twice");
    constraints.destinations = read_destinations(wire::Reader(reader.string()));
}

void read_constraint(wire::Reader& reader, Constraints& constraints) {
    switch (const auto number = reader.byte()) {
    case SSH_AGENT_CONSTRAIN_LIFETIME:
        if (constraints.lifetime)
            malformed("the lifetime of a key comes twice");
        constraints.lifetime = reader.uint32();
        return;
    case SSH_AGENT_CONSTRAIN_CONFIRM:
        if (constraints.confirm)
            malformed("the confirm constraint comes twice");
        constraints.confirm = true;
        return;
    case SSH_AGENT_CONSTRAIN_EXTENSION:
        return read_extension(reader, constraints);
    default:
        unsupported("key constraint " + std::to_string(number) + " is not supported");
    }
}

Bytes hop_bytes(const Hop& hop) {
    wire::Writer writer;
    writer.text(hop.user).text(hop.host).text("");
    for (const auto& key : hop.keys)
        writer.string(key.blob).boolean(key.is_ca);
    return std::move(writer).bytes();
}

Bytes destinations_bytes(const std::vector<DestinationConstraint>& destinations) {
    wire::Writer writer;
    for (const auto& [from, to] : destinations)
        writer.string(wire::Writer().string(hop_bytes(from)).string(hop_bytes(to)).text("").bytes());
    return std::move(writer).bytes();
}

} // namespace

Constraints read_constraints(wire::Reader& reader) {
    Constraints constraints;
    while (!reader.empty())
        read_constraint(reader, constraints);
    return constraints;
}

void write_constraints(wire::Writer& writer, const Constraints& constraints) {
    if (constraints.lifetime)
        writer.byte(SSH_AGENT_CONSTRAIN_LIFETIME).uint32(*constraints.lifetime);
    if (constraints.confirm)
        writer.byte(SSH_AGENT_CONSTRAIN_CONFIRM);
    if (!constraints.destinations.empty())
        writer.byte(SSH_AGENT_CONSTRAIN_EXTENSION)
            .text(restrict_destination)
            .string(destinations_bytes(constraints.destinations));
}

bool loosens(const Constraints& constraints, const Constraints& before) {
    if (before.confirm && !constraints.confirm)
        return true;
    if (before.destinations.empty())
        return false;
    const auto was_allowed = [&](const DestinationConstraint& destination) {
        return std::ranges::find(before.destinations, destination) != before.destinations.end();
    };
    return constraints.destinations.empty() || !std::ranges::all_of(constraints.destinations, was_allowed);
}

} // namespace sshtpm::protocol
