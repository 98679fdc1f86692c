#pragma once
// The story of one signature.

#include "agent/auth_source.hpp"
#include "agent/key_store.hpp"
#include "agent/message.hpp"
#include "agent/tpm_lane.hpp"

#include <optional>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

class Signer {
  public:
    Signer(KeyStore& keys, TpmLane& lane) : keys_(keys), lane_(lane), auth_source_(lane.loop()) {}

    /// The signature blob, checked with the public key; nothing when the request is refused: an unknown key,
    /// an algorithm that must not be made, a PIN that nobody gave or the TPM did not take three times.
    /// @throws Error when the TPM fails.
    boost::asio::awaitable<std::optional<Bytes>> sign(SignRequest request);

  private:
    boost::asio::awaitable<std::optional<ssh::RawSignature>>
    sign_digest(std::shared_ptr<const identity::Identity> identity, ssh::Hash hash, Bytes digest);

    boost::asio::awaitable<std::optional<std::uint32_t>>
    tries_left(std::shared_ptr<const identity::Identity> identity);

    KeyStore& keys_;
    TpmLane& lane_;
    AuthSource auth_source_;
    bool refusal_seen_ = false; ///< of a PIN, since the agent started
};

} // namespace sshtpm::agent
