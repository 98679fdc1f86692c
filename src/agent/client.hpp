#pragma once
// What the agent knows of one client.

#include "agent/bindings.hpp"
#include "agent/upstreams.hpp"
#include "os/peer.hpp"
#include "protocol/bound_sessions.hpp"
#include "protocol/reply.hpp"

#include <cstdint>

namespace sshtpm::agent {

struct Client {
    os::Peer peer;
    Upstreams upstreams;
    protocol::BoundSessions sessions = {};
    Bindings bindings = {};                             ///< what the upstreams are to know of the sessions
    unsigned wrong_passwords = 0;                       ///< to unlock, in a row
    std::uint32_t tries_told = protocol::unknown_tries; ///< of PINs, when it last heard of them
};

} // namespace sshtpm::agent
