#pragma once
// The requests that add keys and remove them.

#include "agent/client.hpp"
#include "agent/state.hpp"
#include "agent/tpm_service.hpp"
#include "protocol/message.hpp"

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

struct KeyPolicy {
    bool seal = true;                              ///< private keys that clients send go into the TPM
    std::optional<std::uint32_t> default_lifetime; ///< seconds, of keys that come without one
};

class KeyRequests {
  public:
    KeyRequests(State& state, TpmService& tpm, KeyPolicy policy)
        : state_(state), tpm_(tpm), policy_(policy) {}

    enum class Outcome {
        done,
        refused,
        not_ours, ///< nothing was done: another agent may
    };

    /// Seals the private key into the TPM; a key that the TPM cannot hold is not ours.
    boost::asio::awaitable<Outcome> add(protocol::AddIdentity request, const Client& client);
    /// A key file of this TPM's. Only for connections that are not known to come from elsewhere.
    /// @throws Error for a file that does not parse or has no key to sign with.
    Outcome add(protocol::TpmAddKey request, const Client& client);

    Outcome remove(const protocol::RemoveIdentity& request, const Client& client);

  private:
    boost::asio::awaitable<IdentityPtr> sealed(ssh::PrivateKey key);
    /// False when the line is there and may not be seen on this connection.
    bool may_replace(ByteView blob, const Client& client) const;
    void hold(HeldKey key, protocol::Constraints constraints);

    State& state_;
    TpmService& tpm_;
    KeyPolicy policy_;
};

} // namespace sshtpm::agent
