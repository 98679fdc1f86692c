#pragma once
// The story of one signature.

#include "agent/auth_source.hpp"
#include "agent/client.hpp"
#include "agent/question.hpp"
#include "agent/state.hpp"
#include "agent/tpm_service.hpp"
#include "agent/turns.hpp"
#include "protocol/message.hpp"
#include "protocol/reply.hpp"

#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

class Signer {
  public:
    /// What is given must outlive it, and the state must not change after it has gone.
    Signer(const boost::asio::any_io_executor& loop, State& state, TpmService& tpm);
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;

    /// The signature blob, checked with the public key; nothing when the request is refused: a key that may
    /// not be used on this connection or for this, an algorithm that must not be made, a person's no, a PIN
    /// that nobody gave or the TPM did not take three times, a use that has ended meanwhile.
    /// @throws Error when the TPM fails.
    boost::asio::awaitable<std::optional<Bytes>> sign(KeyUsePtr use, protocol::SignRequest request,
                                                      const Client& client);

    struct PinTrial {
        protocol::PinOutcome outcome;
        std::uint32_t tries_left = protocol::unknown_tries;
        std::string text; ///< for a person
    };
    /// Has the TPM sign something with this PIN, and remembers it if the TPM takes it.
    /// @param tries_told what the client was told before: the last try is not spent on one that does not know
    ///     that it is the last.
    boost::asio::awaitable<PinTrial> try_pin(KeyUsePtr use, tpm::Auth pin,
                                             std::uint32_t tries_told = protocol::unknown_tries);

  private:
    boost::asio::awaitable<std::optional<Bytes>> sign_in_use(KeyUsePtr use, protocol::SignRequest request,
                                                             const Client& client);
    boost::asio::awaitable<std::optional<ssh::RawSignature>>
    sign_digest(KeyUsePtr use, ssh::Hash hash, Bytes digest, const Requester& requester);

    /// The auth value for the next attempt; nothing when the request ends here.
    boost::asio::awaitable<std::optional<AuthOffer>> next_offer(IdentityPtr identity, int refused,
                                                                const Requester& requester);
    boost::asio::awaitable<std::optional<AuthOffer>> without_pin(IdentityPtr identity, AuthOffer offer);
    boost::asio::awaitable<std::optional<AuthOffer>> ask(IdentityPtr identity, AuthOffer offer, int refused,
                                                         const Requester& requester);
    static bool may_ask(const identity::Identity& identity, const std::optional<tpm::Lockout>& state,
                        int refused);
    boost::asio::awaitable<std::optional<tpm::Lockout>> lockout();
    bool keep_pin(const KeyUse& use, const tpm::Auth& auth);

    State& state_;
    TpmService& tpm_;
    AuthSource auth_source_;
    Turns attempts_; ///< at trying a PIN that may be wrong: no other one is between the counter and the try
    bool refusal_seen_ = false; ///< of a PIN, since the agent started
};

} // namespace sshtpm::agent
