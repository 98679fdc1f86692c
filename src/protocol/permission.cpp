#include "protocol/permission.hpp"

#include "protocol/userauth.hpp"
#include "ssh/text.hpp"
#include "ssh/verify.hpp"

#include <algorithm>

namespace sshtpm::protocol {

namespace {

/// One question to the constraints of a key: may it go from here to there, at this time?
class Rules {
  public:
    Rules(const std::vector<DestinationConstraint>& destinations, TimePoint now)
        : destinations_(destinations), now_(now) {}

    /// permitted_by_dest_constraints of OpenSSH. A missing `from` is this machine; a missing `to` or `user`
    /// is any.
    bool permit(const Bytes* from, const Bytes* to, const std::string* user) const {
        return std::ranges::any_of(destinations_, [&](const DestinationConstraint& rule) {
            const bool leaves_here = from == nullptr ? rule.from.host.empty() : is_host(*from, rule.from);
            return leaves_here && (to == nullptr || is_host(*to, rule.to)) &&
                   (user == nullptr || rule.to.user.empty() || ssh::match_pattern(*user, rule.to.user));
        });
    }

  private:
    /// match_key_hop of OpenSSH: a host certificate is for authorities alone, a plain key for plain keys.
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

/// The way from this machine to the last session, hop by hop. Only at the last one can a user be named.
bool path_is_permitted(const Rules& rules, std::span<const BoundSession> path, const std::string* user) {
    const Bytes* from = nullptr;
    for (const auto& hop : path.first(path.size() - 1)) {
        if (!hop.is_forwarding || !rules.permit(from, &hop.host_key, nullptr))
            return false;
        from = &hop.host_key;
    }
    return rules.permit(from, &path.back().host_key, user);
}

/// process_sign_request2 of OpenSSH: the session was bound just before, and it is to the host that is bound.
/// Without a host key in the request only the first hop is known to be that.
bool is_for_session(const UserAuthRequest& request, std::span<const BoundSession> path) {
    const auto& last = path.back();
    if (request.session_id != last.session_id)
        return false;
    return request.host_key ? *request.host_key == last.host_key : path.size() == 1;
}

} // namespace

bool may_see(const Constraints& constraints, const BoundSessions& bound, TimePoint now) {
    if (constraints.destinations.empty())
        return true;
    if (bound.failed())
        return false;
    const auto path = bound.sessions();
    if (path.empty())
        return true; // a program on this machine
    const Rules rules(constraints.destinations, now);
    if (!path_is_permitted(rules, path, nullptr))
        return false;
    // A key that may be used to reach a host, but not from there, is not shown there.
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
