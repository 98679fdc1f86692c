#pragma once
// The SSH sessions that a client of the agent runs through, as session-bind@openssh.com tells them
// (PROTOCOL.agent section 1): one per hop, the last one the innermost.

#include "base/bytes.hpp"

#include <span>
#include <vector>

namespace sshtpm::wire {
class Reader;
}

namespace sshtpm::protocol {

/// The body of the extension.
struct SessionBind {
    Bytes host_key;   ///< blob
    Bytes session_id; ///< 1 to max_session_id bytes
    Bytes signature;  ///< by host_key over session_id
    bool is_forwarding = false;
};

inline constexpr std::size_t max_session_id = 128;
inline constexpr std::size_t max_bound_sessions = 16;

/// The body behind the extension's name; bytes that follow it are left in the reader, as OpenSSH's agent
/// does. @throws Error(malformed)
SessionBind read_session_bind(wire::Reader& reader);

struct BoundSession {
    Bytes host_key;
    Bytes session_id;
    bool is_forwarding = false;
};

/// What one connection has told. A bind that fails is remembered: from then on nobody knows where this
/// connection leads, and constrained keys are out of its reach.
class BoundSessions {
  public:
    /// Checks the signature and remembers the session. @returns false when it is refused: a wrong signature,
    /// a known session id with another key, any behind a session that is not forwarded, or too many.
    /// The same id and key again, of a forwarded session, is no change.
    bool bind(const SessionBind& request);
    /// For a bind that did not parse.
    void note_failure() noexcept { failed_ = true; }

    /// Whether a bind was ever asked for, refused ones included: then this connection is not known to be a
    /// plain local one.
    bool attempted() const noexcept { return failed_ || !sessions_.empty(); }
    bool failed() const noexcept { return failed_; }
    std::span<const BoundSession> sessions() const noexcept { return sessions_; }

  private:
    std::vector<BoundSession> sessions_;
    bool failed_ = false;
};

} // namespace sshtpm::protocol
