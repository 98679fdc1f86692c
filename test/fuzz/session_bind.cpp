// SPDX-License-Identifier: MIT
// Bodies of session-bind, one after the other on one connection.

#include "fuzz/target.hpp"
#include "protocol/permission.hpp"
#include "wire/reader.hpp"

FUZZ_TARGET(session_bind) {
    using namespace sshtpm;
    protocol::BoundSessions bound;
    wire::Reader reader({data, size});
    try {
        while (!reader.empty()) {
            const auto request = protocol::read_session_bind(reader);
            const auto before = bound.sessions().size();
            const bool was_failed = bound.failed();
            const bool accepted = bound.bind(request);
            require(accepted ? bound.failed() == was_failed
                             : bound.failed() && bound.sessions().size() == before);
        }
    } catch (const Error&) {
        bound.note_failure();
    }
    require(bound.sessions().size() <= protocol::max_bound_sessions);
}
