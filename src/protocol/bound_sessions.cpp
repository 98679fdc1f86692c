#include "protocol/bound_sessions.hpp"

#include "base/error.hpp"
#include "ssh/verify.hpp"
#include "wire/reader.hpp"

namespace sshtpm::protocol {

namespace {

enum class Verdict { remember, known, refuse };

Verdict judge(const SessionBind& request, std::span<const BoundSession> sessions) {
    if (!ssh::verify_signature(request.host_key, request.signature, request.session_id))
        return Verdict::refuse;
    for (const auto& session : sessions) {
        // Bound for authentication: nothing that comes through it can be a forwarded agent.
        if (!session.is_forwarding)
            return Verdict::refuse;
        if (session.session_id == request.session_id)
            return session.host_key == request.host_key ? Verdict::known : Verdict::refuse;
    }
    return sessions.size() < max_bound_sessions ? Verdict::remember : Verdict::refuse;
}

} // namespace

SessionBind read_session_bind(wire::Reader& reader) {
    SessionBind request;
    request.host_key = copy_of(reader.string());
    request.session_id = copy_of(reader.string());
    request.signature = copy_of(reader.string());
    request.is_forwarding = reader.boolean();
    if (request.session_id.empty() || request.session_id.size() > max_session_id)
        throw Error(Errc::malformed, "a session id that is not of 1 to 128 bytes");
    return request;
}

bool BoundSessions::bind(const SessionBind& request) {
    const auto verdict = judge(request, sessions_);
    if (verdict == Verdict::remember)
        sessions_.push_back({request.host_key, request.session_id, request.is_forwarding});
    if (verdict == Verdict::refuse)
        failed_ = true;
    return verdict != Verdict::refuse;
}

} // namespace sshtpm::protocol
