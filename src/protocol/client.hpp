#pragma once
// The other end of the protocol: a program that asks an agent for something and waits for the answer. What
// the agent says is as hostile as what its clients say: it may be somebody else's, behind a forwarded socket.

#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "protocol/constraints.hpp"
#include "protocol/reply.hpp"

#include <filesystem>

namespace sshtpm::protocol {

struct AgentKey {
    std::string type; ///< the name that the blob begins with
    Bytes blob;       ///< of a key or of a certificate
    std::string comment;
};

/// The answer to extension::tpm_try_pin.
struct PinResult {
    PinOutcome outcome = PinOutcome::wrong;
    std::optional<std::uint32_t> tries_left; ///< that the TPM still allows; nothing when nobody knows
    std::string text;                        ///< for a person; not printable as it is
};

/// A connection to an agent; blocking, for as long as the agent takes (a person may be asked).
/// Each request throws Error(io) when the connection breaks, Error(malformed) for an answer that cannot be
/// one, and Error(refused) when the agent says no.
class Client {
  public:
    /// @throws Error(not_found | permission | io | usage) when nobody listens there.
    explicit Client(const std::filesystem::path& socket);
    /// On a connection that is there already.
    explicit Client(UniqueFd connection) noexcept : socket_(std::move(connection)) {}

    /// To be called before a person is asked for a secret, which would be asked for in vain.
    /// @throws Error(permission) unless the agent is one of this user or of root. The requests that carry
    /// keys, PINs or passwords call it themselves; the others carry no secret, and go to any agent.
    void require_trusted_agent() const;

    /// One message, its first byte the number, and the answer, in which there is at least one byte. Leaves
    /// no copy of the message in memory. @throws Error(unsupported) when it is longer than max_message.
    Bytes request(ByteView message);

    /// SSH_AGENTC_REQUEST_IDENTITIES; at most max_listed_keys.
    std::vector<AgentKey> list();
    /// SSH_AGENTC_SIGN_REQUEST. @returns the signature blob, which is not checked; its algorithm is the one
    /// that the flags ask for.
    Bytes sign(ByteView key_blob, ByteView data, std::uint32_t flags);
    /// extension::tpm_add_key, to a trusted agent. The certificate is a blob, empty for none.
    void add_tpm_key(std::string_view key_file, ByteView certificate, const Constraints& constraints);
    /// SSH_AGENTC_REMOVE_IDENTITY, for a key or a certificate.
    void remove(ByteView key_blob);
    /// Those of both versions of the protocol, as ssh-add -D does it.
    void remove_all();
    /// Both to a trusted agent.
    void lock(const Secret& password);
    void unlock(const Secret& password);
    /// The names of the extensions that the agent serves (RFC 9987 section 5.8.1).
    std::vector<std::string> query();
    /// extension::tpm_try_pin, to a trusted agent.
    PinResult try_pin(ByteView key_blob, const Secret& pin);

  private:
    Bytes successful_request(ByteView message);
    void require_success(ByteView message);

    UniqueFd socket_;
};

} // namespace sshtpm::protocol
