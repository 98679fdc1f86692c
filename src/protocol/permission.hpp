#pragma once
// Whether a key with destination constraints may be seen or used on a connection: the rules of OpenSSH's
// agent (identity_permitted and process_sign_request2 in ssh-agent.c), decided from values alone.

#include "protocol/bound_sessions.hpp"
#include "protocol/constraints.hpp"

#include <chrono>

namespace sshtpm::protocol {

/// When the question is asked: host certificates have a time of validity.
using TimePoint = std::chrono::system_clock::time_point;

/// For listing, for removing, and for replacing by another add: the path up to this connection is permitted,
/// whatever the user, and where the connection is a forwarded one, some way leads on from there.
bool may_see(const Constraints& constraints, const BoundSessions& sessions,
             TimePoint now = std::chrono::system_clock::now());

/// For signing `data` with the key that the client named by `key_blob`. A key without destination constraints
/// signs anything, anywhere.
bool may_sign(const Constraints& constraints, const BoundSessions& sessions, ByteView key_blob, ByteView data,
              TimePoint now = std::chrono::system_clock::now());

} // namespace sshtpm::protocol
