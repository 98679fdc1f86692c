// SPDX-License-Identifier: MIT
#pragma once
// The client's side of the protocol. An agent's answers are hostile input: through a forwarded socket, the
// agent may be another user's.

#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"
#include "protocol/message.hpp"
#include "protocol/reply.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace sshtpm::protocol {

struct AgentKey {
    std::string type; ///< the name at the beginning of the blob
    Bytes blob;       ///< of a key or of a certificate
    std::string comment;
};

/// The answer to extension::tpm_try_pin.
struct PinResult {
    PinOutcome outcome = PinOutcome::wrong;
    std::optional<std::uint32_t> tries_left; ///< nothing if the agent does not know
    std::string text;                        ///< for a person; callers make it printable
};

/// A connection to an agent. Each request throws Error(io) if the connection breaks or the time is over,
/// Error(malformed) for an invalid answer, and Error(refused) if the agent answers with a failure: with the
/// agent's own message and hint if it sends them (explained_failure).
///
/// The connection, `list` and `query` have TimeLimits::agent_answer. Other requests may wait for a person or
/// a TPM. If the last answer is older than that limit, the client first asks for the list, to see that the
/// agent is alive.
class Client {
  public:
    /// @param slow_limit how long to wait for an answer that may need a person or a TPM; 0: for ever
    /// @throws Error(not_found | permission | io | usage) if no agent listens there
    explicit Client(const std::filesystem::path& socket, std::chrono::milliseconds slow_limit = {});
    /// Takes an open connection, and waits for ever.
    explicit Client(UniqueFd connection) noexcept : socket_(std::move(connection)) {}

    /// The process that made the socket listen: systemd's for an agent that systemd starts. @throws Error(io)
    os::Peer peer() const { return os::peer_of(socket_.value()); }

    /// Requests that send a key, a PIN or a password call this themselves. Call it before you ask a person
    /// for a secret.
    /// @throws Error(permission) unless the agent is this user's or root's
    void require_trusted_agent() const;

    /// Sends one message, without a frame. Leaves no copy of it in memory. @returns the answer, never empty
    /// @throws Error(unsupported) for a message longer than max_message
    Bytes request(ByteView message);

    /// SSH_AGENTC_REQUEST_IDENTITIES; at most max_listed_keys.
    std::vector<AgentKey> list();
    /// SSH_AGENTC_SIGN_REQUEST.
    /// @returns the signature blob, not verified; it has the algorithm that the flags ask for
    Bytes sign(ByteView key_blob, ByteView data, std::uint32_t flags);
    /// Has the agent sign random bytes, which nobody has had signed before, with each algorithm that OpenSSH
    /// uses with this key by default (ssh::algorithms_of).
    /// @param only the one algorithm of an RSA key to use
    /// @returns the name of an algorithm whose signature does not verify; nothing if all signatures do, or if
    ///     they cannot be checked (ssh::can_verify)
    /// @throws Error as `sign` does, with the agent's reason if it runs as this user or root and knows
    ///     extension::tpm_sign; for an RSA key it names the algorithm
    std::optional<std::string> find_wrong_signature(ByteView key_blob,
                                                    std::optional<std::string_view> only = {});
    /// extension::tpm_add_checked_key; if the agent does not know it, extension::tpm_add_key.
    /// @param certificate its blob; empty for none
    void add_tpm_key(std::string_view key_file, ByteView certificate, const Constraints& constraints);
    /// SSH_AGENTC_REMOVE_IDENTITY, for a key or a certificate.
    void remove(ByteView key_blob);
    /// Removes the keys of both versions of the protocol, like ssh-add -D.
    void remove_all();
    void lock(const Secret& password);
    void unlock(const Secret& password);
    /// @returns the names of the agent's extensions (RFC 9987 section 5.8.1)
    std::vector<std::string> query();
    /// Whether the agent lists this extension; false for an agent that lists none. Asks it once.
    bool knows(std::string_view extension);
    /// extension::status. @returns names and values as the agent sends them; callers make them printable
    AgentStatus status();
    /// extension::tpm_try_pin.
    PinResult try_pin(ByteView key_blob, const Secret& pin);

  private:
    using Clock = std::chrono::steady_clock;

    Bytes exchange(ByteView message, std::chrono::milliseconds limit);
    void require_success(ByteView message);
    Bytes sign(const SignRequest& asked);

    UniqueFd socket_;
    std::chrono::milliseconds quick_limit_{0}, slow_limit_{0}; ///< 0: for ever
    Clock::time_point answered_{};                             ///< the time of the last answer
    std::optional<std::vector<std::string>> extensions_;       ///< nothing until `knows` has asked
};

} // namespace sshtpm::protocol
