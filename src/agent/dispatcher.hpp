#pragma once
// From a message to its reply.

#include "agent/signer.hpp"

#include <memory>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

class Dispatcher {
  public:
    Dispatcher(KeyStore& keys, TpmLane& lane);

    /// The framed reply to a message that `handle_at_once` has none for; SSH_AGENT_FAILURE for whatever goes
    /// wrong with it, which is logged.
    boost::asio::awaitable<std::shared_ptr<const Bytes>> handle(Bytes message);

    /// The reply, where it is known without waiting for anything; else null, and `handle` is to be asked.
    std::shared_ptr<const Bytes> handle_at_once(ByteView message) const;

  private:
    boost::asio::awaitable<std::shared_ptr<const Bytes>> handle_sign(SignRequest request);

    const KeyStore& keys_;
    Signer signer_;
    std::shared_ptr<const Bytes> failure_;
};

} // namespace sshtpm::agent
