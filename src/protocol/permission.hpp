// SPDX-License-Identifier: MIT
#pragma once
// Destination constraints: the rules of OpenSSH's agent (identity_permitted and process_sign_request2 in
// ssh-agent.c). They compare a key's constraints with the sessions that the client has bound, and with the
// data to be signed.

#include "protocol/message.hpp"

#include <chrono>
#include <span>
#include <vector>

namespace sshtpm::protocol {

inline constexpr std::size_t max_bound_sessions = 16;

struct BoundSession {
    Bytes host_key;
    Bytes session_id;
    bool is_forwarding = false;
};

/// The SSH sessions between a client and the agent, one per hop, in the order in which session-bind requests
/// reported them. After a failed bind the path of the connection is unknown, and constrained keys cannot be
/// used on it.
class BoundSessions {
  public:
    /// Refuses a wrong signature, a known session id with another key, a bind after a session that is not
    /// forwarded, and more than max_bound_sessions. A forwarded session may be bound again; nothing changes.
    /// @returns false if it is refused
    bool bind(const SessionBind& request);
    /// Records a bind that did not parse.
    void note_failure() noexcept { failed_ = true; }

    /// True after any bind, even a failed one. Without a bind the client is a program on this machine.
    bool attempted() const noexcept { return failed_ || !sessions_.empty(); }
    bool failed() const noexcept { return failed_; }
    std::span<const BoundSession> sessions() const noexcept { return sessions_; }

  private:
    std::vector<BoundSession> sessions_;
    bool failed_ = false;
};

/// The data that a client signs to log in (RFC 4252 section 7, OpenSSH's PROTOCOL).
struct UserAuthRequest {
    Bytes session_id;
    std::string user;
    std::string algorithm;
    Bytes key_blob;
    std::optional<Bytes> host_key; ///< of "publickey-hostbound-v00@openssh.com"
};

/// @returns nothing for other data, and if bytes follow the request
std::optional<UserAuthRequest> parse_userauth(ByteView data);

/// Host certificates are valid for a time.
using TimePoint = std::chrono::system_clock::time_point;

/// True if the key may be listed, removed and replaced on the connection: each hop is permitted for some
/// user, and on a forwarded connection the key may be used to go on from the last host.
bool may_see(const Constraints& constraints, const BoundSessions& sessions,
             TimePoint now = std::chrono::system_clock::now());

/// True if the key may sign the data. A key with destination constraints signs requests for user
/// authentication and nothing else.
/// @param key_blob as the client sent it
bool may_sign(const Constraints& constraints, const BoundSessions& sessions, ByteView key_blob, ByteView data,
              TimePoint now = std::chrono::system_clock::now());

} // namespace sshtpm::protocol
