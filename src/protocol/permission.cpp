// SPDX-License-Identifier: MIT
#include "protocol/permission.hpp"

#include "base/error.hpp"
#include "ssh/text.hpp"
#include "ssh/verify.hpp"
#include "wire/reader.hpp"

#include <algorithm>
#include <cstdint>

namespace sshtpm::protocol {

namespace {

enum class Verdict { remember, known, refuse };

Verdict judge(const SessionBind& request, std::span<const BoundSession> sessions) {
    if (!ssh::verify_signature(request.host_key, request.signature, request.session_id))
        return Verdict::refuse;
    for (const auto& session : sessions) {
        // A session without agent forwarding is the last hop: no further bind can come through it.
        if (!session.is_forwarding)
            return Verdict::refuse;
        if (session.session_id == request.session_id)
            return session.host_key == request.host_key ? Verdict::known : Verdict::refuse;
    }
    return sessions.size() < max_bound_sessions ? Verdict::remember : Verdict::refuse;
}

constexpr std::uint8_t SSH_MSG_USERAUTH_REQUEST = 50; // RFC 4252 section 6

/// True if keys of this type sign with the algorithm. RSA keys have two more algorithms (RFC 8332 section 3),
/// and so have RSA certificates (PROTOCOL.certkeys).
bool belongs_to(std::string_view algorithm, std::string_view type) {
    if (type == "ssh-rsa" && (algorithm == "rsa-sha2-256" || algorithm == "rsa-sha2-512"))
        return true;
    if (type == "ssh-rsa-cert-v01@openssh.com" && (algorithm == "rsa-sha2-256-cert-v01@openssh.com" ||
                                                   algorithm == "rsa-sha2-512-cert-v01@openssh.com"))
        return true;
    return algorithm == type;
}

void require(bool condition) {
    if (!condition)
        throw Error(Errc::malformed, "not a request for user authentication");
}

UserAuthRequest read_request(wire::Reader reader) {
    UserAuthRequest request;
    request.session_id = copy_of(reader.string());
    require(!request.session_id.empty());
    require(reader.byte() == SSH_MSG_USERAUTH_REQUEST);
    request.user = reader.c_text();
    require(reader.text() == "ssh-connection");
    const auto method = reader.text();
    require(reader.byte() == 1); // a signature follows
    request.algorithm = reader.c_text();
    request.key_blob = copy_of(reader.string());
    require(belongs_to(request.algorithm, wire::Reader(request.key_blob).text()));
    if (method == "publickey-hostbound-v00@openssh.com")
        request.host_key = copy_of(reader.string());
    else
        require(method == "publickey");
    reader.expect_end();
    return request;
}

/// Applies the destination constraints of a key at a given time.
class Rules {
  public:
    Rules(const std::vector<DestinationConstraint>& destinations, TimePoint now)
        : destinations_(destinations), now_(now) {}

    /// permitted_by_dest_constraints of OpenSSH. Null stands for this machine in `from`, for any host in
    /// `to`, and for any user in `user`.
    bool permit(const Bytes* from, const Bytes* to, const std::string* user) const {
        return std::ranges::any_of(destinations_, [&](const DestinationConstraint& rule) {
            const bool leaves_here = from == nullptr ? rule.from.host.empty() : is_host(*from, rule.from);
            return leaves_here && (to == nullptr || is_host(*to, rule.to)) &&
                   (user == nullptr || rule.to.user.empty() || ssh::match_pattern(*user, rule.to.user));
        });
    }

  private:
    /// match_key_hop of OpenSSH: host certificates match certification authorities, plain keys plain keys.
    bool is_host(const Bytes& host_key, const Hop& hop) const {
        const bool certified = ssh::is_certificate(host_key);
        return std::ranges::any_of(hop.keys, [&](const KeySpec& key) {
            if (certified)
                return key.is_ca && ssh::certifies_host(host_key, key.blob, hop.host, now_);
            return !key.is_ca && host_key == key.blob;
        });
    }

    const std::vector<DestinationConstraint>& destinations_;
    TimePoint now_;
};

/// Checks each hop from this machine to the last session. The user is known for the last hop only.
bool path_is_permitted(const Rules& rules, std::span<const BoundSession> path, const std::string* user) {
    const Bytes* from = nullptr;
    for (const auto& hop : path.first(path.size() - 1)) {
        if (!hop.is_forwarding || !rules.permit(from, &hop.host_key, nullptr))
            return false;
        from = &hop.host_key;
    }
    return rules.permit(from, &path.back().host_key, user);
}

/// process_sign_request2 of OpenSSH: true if the request is for the session and the host of the last bind. A
/// request without a host key is accepted on the first hop only.
bool is_for_session(const UserAuthRequest& request, std::span<const BoundSession> path) {
    const auto& last = path.back();
    if (request.session_id != last.session_id)
        return false;
    return request.host_key ? *request.host_key == last.host_key : path.size() == 1;
}

} // namespace

bool BoundSessions::bind(const SessionBind& request) {
    const auto verdict = judge(request, sessions_);
    if (verdict == Verdict::remember)
        sessions_.push_back({request.host_key, request.session_id, request.is_forwarding});
    if (verdict == Verdict::refuse)
        failed_ = true;
    return verdict != Verdict::refuse;
}

std::optional<UserAuthRequest> parse_userauth(ByteView data) {
    try { // caught because a client may want other data signed
        return read_request(wire::Reader(data));
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool may_see(const Constraints& constraints, const BoundSessions& bound, TimePoint now) {
    if (constraints.destinations.empty())
        return true;
    if (bound.failed())
        return false;
    const auto path = bound.sessions();
    if (path.empty())
        return true; // the client is a program on this machine
    const Rules rules(constraints.destinations, now);
    if (!path_is_permitted(rules, path, nullptr))
        return false;
    // A forwarded connection sees only keys that may be used to go on from the last host.
    return !path.back().is_forwarding || rules.permit(&path.back().host_key, nullptr, nullptr);
}

bool may_sign(const Constraints& constraints, const BoundSessions& bound, ByteView key_blob, ByteView data,
              TimePoint now) {
    if (constraints.destinations.empty())
        return true;
    const auto path = bound.sessions();
    if (bound.failed() || path.empty() || path.back().is_forwarding)
        return false;
    const auto request = parse_userauth(data);
    return request && equal(request->key_blob, key_blob) && is_for_session(*request, path) &&
           path_is_permitted(Rules(constraints.destinations, now), path, &request->user);
}

} // namespace sshtpm::protocol
