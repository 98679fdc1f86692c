// SPDX-License-Identifier: MIT
#pragma once
// Answers requests.

#include "agent/agent_lock.hpp"
#include "agent/key_folder.hpp"
#include "agent/signer.hpp"
#include "protocol/reply.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::agent {

struct KeyPolicy {
    bool seal = true;                                   ///< private keys that clients send go into the TPM
    std::optional<std::uint32_t> default_lifetime = {}; ///< seconds, for keys that come without a lifetime
};

using Reply = std::shared_ptr<const Bytes>;

struct Response {
    Response(Reply reply = {}, KeyUsePtr of_key = {}) : frame(std::move(reply)), use(std::move(of_key)) {}

    Reply frame;
    KeyUsePtr use; ///< for a signature: its frame must not be sent after the use has ended
};

class Dispatcher {
  public:
    /// The referenced objects must outlive this one.
    /// @param upstreams in the order in which they are asked
    Dispatcher(const asio::any_io_executor& loop, KeyStore& keys, KeyFolder& folder, TpmService& tpm,
               prompt::PrompterClient& prompter, KeyPolicy policy,
               std::vector<std::shared_ptr<Upstream>> upstreams = {},
               PasswordHash::Cost lock_cost = PasswordHash::Cost::interactive);

    /// @param in_force the parts of the sandbox, for the agent's status
    void tell_sandbox(std::string in_force) { sandbox_ = std::move(in_force); }

    Client new_client(os::Peer peer) const;
    bool locked() const noexcept { return lock_.locked(); }

    /// Answers a message that `handle_at_once` cannot answer. Logs each error and answers it with a failure.
    /// @param message stays valid until the reply is there, and so does the client
    /// @returns the framed reply
    asio::awaitable<Response> handle(ByteView message, Client& client);

    /// @returns the reply if it is known without waiting; else null, and the caller calls `handle`
    Reply handle_at_once(ByteView message, const Client& client) const;

  private:
    using Answer = asio::awaitable<Response>;

    /// The message and the client of a request.
    struct Call {
        ByteView message; ///< unchanged, for upstream agents
        Client& client;
    };

    Answer serve(protocol::RequestIdentities request, Call call);
    Answer serve(protocol::SignRequest request, Call call);
    Answer serve(protocol::AddIdentity request, Call call);
    Answer serve(protocol::AddForeignIdentity request, Call call);
    Answer serve(protocol::RemoveIdentity request, Call call);
    Answer serve(protocol::RemoveAllIdentities request, Call call);
    Answer serve(protocol::Lock request, Call call);
    Answer serve(protocol::Unlock request, Call call);
    Answer serve(protocol::Query request, Call call);
    Answer serve(protocol::StatusRequest request, Call call);
    Answer serve(protocol::SessionBind request, Call call);
    Answer serve(protocol::BrokenSessionBind request, Call call);
    Answer serve(protocol::TpmAddKey request, Call call);
    Answer serve(protocol::TpmTryPin request, Call call);
    Answer serve(protocol::Smartcard request, Call call);
    Answer serve(protocol::UnknownExtension request, Call call);
    Answer serve(protocol::Unsupported request, Call call);

    /// Like `serve`, without the line that -d logs.
    Answer sign(protocol::SignRequest request, Call call);
    std::string description_of(const protocol::SignRequest& request, const Client& client) const;

    Answer forward(Call call, ByteView blob);
    Answer forward_key(Call call, std::string description);

    asio::awaitable<IdentityPtr> sealed(ssh::PrivateKey key);
    bool may_replace(ByteView blob, const Client& client) const;
    void add(KeyEntry entry, protocol::Constraints constraints);

    protocol::AgentStatus status(std::optional<prompt::Asker> asker) const;

    bool may_be_served(const protocol::Request& request) const;
    Reply answer(bool success) const { return success ? success_ : failure_; }

    asio::any_io_executor loop_;
    KeyStore& keys_;
    KeyFolder& folder_;
    TpmService& tpm_;
    prompt::PrompterClient& prompter_;
    KeyPolicy policy_;
    std::vector<std::shared_ptr<Upstream>> upstreams_;
    AgentLock lock_;
    PinBroker broker_;
    Signer signer_;
    std::string sandbox_ = "none";
    Reply failure_, success_, extension_failure_, empty_list_, query_;
};

} // namespace sshtpm::agent
