// SPDX-License-Identifier: MIT
// A client that binds one session and wants something signed by a key that may be used for that host alone:
// a string with the body of session-bind, a string with the key, then what is to be signed.

#include "fuzz/target.hpp"
#include "protocol/permission.hpp"
#include "wire/reader.hpp"

namespace {

using namespace sshtpm;

void sign(wire::Reader reader) {
    protocol::BoundSessions bound;
    wire::Reader bind(reader.string());
    const auto key = reader.string();
    const auto data = reader.rest();

    protocol::Constraints constraints;
    constraints.destinations.resize(1);
    auto& to = constraints.destinations.front().to;
    to.user = "r*t";
    to.host = "host";
    if (!bind.empty()) {
        const auto request = protocol::read_session_bind(bind);
        to.keys.push_back({request.host_key});
        bound.bind(request);
    }
    const auto parsed = protocol::parse_userauth(data);
    if (!protocol::may_sign(constraints, bound, key, data))
        return;
    require(!bound.failed() && bound.sessions().size() == 1 && protocol::may_see(constraints, bound));
    const auto& session = bound.sessions().front();
    require(parsed && !session.is_forwarding && parsed->session_id == session.session_id &&
            equal(parsed->key_blob, key) && parsed->user.starts_with('r') && parsed->user.ends_with('t'));
}

} // namespace

FUZZ_TARGET(userauth) {
    attempt([&] { sign(wire::Reader({data, size})); });
}
