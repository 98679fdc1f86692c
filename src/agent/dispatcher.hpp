#pragma once
// From a message to its reply: what is served when, and by whom.

#include "agent/key_requests.hpp"
#include "agent/signer.hpp"

#include <memory>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

using Reply = std::shared_ptr<const Bytes>;

struct Response {
    Response(Reply reply = {}, KeyUsePtr of_key = {}) : frame(std::move(reply)), use(std::move(of_key)) {}

    Reply frame;
    KeyUsePtr use; ///< for a signature: its frame must not be sent once this has ended
};

class Dispatcher {
  public:
    /// What is given must outlive it.
    /// @param upstreams the agents behind this one, in the order in which they are asked.
    Dispatcher(const boost::asio::any_io_executor& loop, State& state, TpmService& tpm, KeyPolicy policy,
               std::vector<std::shared_ptr<Upstream>> upstreams = {});

    Client new_client(os::Peer peer) const;

    /// The framed reply to a message that `handle_at_once` has none for; a failure for whatever goes wrong
    /// with it, which is logged.
    /// @param message stays where it is until the reply is there, and so does the client.
    boost::asio::awaitable<Response> handle(ByteView message, Client& client);

    /// The reply, where it is known without waiting for anything; else null, and `handle` is to be asked.
    Reply handle_at_once(ByteView message, const Client& client) const;

  private:
    using Answer = boost::asio::awaitable<Response>;

    /// A request with what came with it.
    struct Call {
        ByteView message; ///< as it came, for other agents
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
    Answer serve(protocol::SessionBind request, Call call);
    Answer serve(protocol::BrokenSessionBind request, Call call);
    Answer serve(protocol::TpmAddKey request, Call call);
    Answer serve(protocol::TpmTryPin request, Call call);
    Answer serve(protocol::UnknownExtension request, Call call);
    Answer serve(protocol::Unsupported request, Call call);

    Answer forward(Call call, ByteView blob);
    Answer forward_key(Call call, std::string what);
    Answer listing_with_upstreams(Call call);

    /// While the agent is locked, what it does is unlock, and note where connections lead.
    bool may_be_served(const protocol::Request& request) const;
    HeldKeyPtr find_visible(ByteView blob, const Client& client) const;
    Reply listing_for(const Client& client) const;
    Reply answer(bool success) const { return success ? success_ : failure_; }

    boost::asio::any_io_executor loop_;
    State& state_;
    std::vector<std::shared_ptr<Upstream>> upstreams_;
    std::optional<std::uint32_t> default_lifetime_; ///< of keys for the agents behind this one, too
    Signer signer_;
    KeyRequests key_requests_;
    Reply failure_, success_, extension_failure_, empty_list_, query_;
};

} // namespace sshtpm::agent
