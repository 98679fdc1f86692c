#pragma once
// Between a key that needs an auth value and a person who knows it: PINs that are known, questions, and the
// tries that the TPM counts.

#include "agent/key_store.hpp"
#include "agent/questions.hpp"
#include "agent/semaphore.hpp"
#include "agent/tpm_thread.hpp"
#include "base/time_limits.hpp"
#include "prompt/ask.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

namespace sshtpm::agent {

/// True when another wrong PIN may lock the TPM. @param lockout nothing when the TPM did not say.
bool may_be_last_try(const std::optional<tpm::Lockout>& lockout);

/// Why no person is asked for a PIN now; nothing when one may be.
/// @param refused PINs that the TPM has refused in this request.
std::optional<std::string> why_not_ask(const std::optional<tpm::Lockout>& lockout, int refused);

class PinBroker {
  public:
    PinBroker(const asio::any_io_executor& loop, KeyStore& keys, TpmService& tpm,
              std::chrono::milliseconds answer_limit = time_limits().answer);

    /// A TPM's operation with a key.
    using Attempt = std::function<asio::awaitable<identity::SignResult>(tpm::Auth)>;

    /// Attempts it with the auth value of the key: with none, with a known PIN, or with up to three that a
    /// person types. A PIN that the TPM takes is kept.
    /// @returns nothing when no PIN may be tried, or the TPM has accepted none.
    /// @throws Error when the TPM fails.
    asio::awaitable<std::optional<ssh::RawSignature>> with_auth(KeyUsePtr use, const Requester& requester,
                                                                const Attempt& attempt);

    /// Asks whether the key may be used, when its turn has come.
    asio::awaitable<prompt::Confirmation> confirm(IdentityPtr identity, const Requester& requester);

    struct PinTrial {
        protocol::PinOutcome outcome;
        std::uint32_t tries_left = protocol::unknown_tries;
        std::string text; ///< for a person
    };
    /// Has the TPM sign something with this PIN, and keeps it if the TPM takes it.
    /// @param tries_told what the client was told before: the last try is not spent on one that does not know
    ///     that it is the last.
    asio::awaitable<PinTrial> try_pin(KeyUsePtr use, tpm::Auth pin, std::uint32_t tries_told);

  private:
    /// An auth value to try; null for a key without a PIN.
    struct Offer {
        tpm::Auth auth = {};
        bool typed = false; ///< for this request
        /// Held until the TPM has tried it: requests that need the same PIN wait, and then find it known.
        std::optional<QuestionQueue::Place> place = {};
        /// Held while an unverified PIN is tried, so that the TPM's counter stays as it was read.
        std::optional<Permit> permit = {};
    };

    bool needs_pin(const identity::Identity& identity) const;
    bool has_no_pin(const identity::Identity& identity) const;
    void learn(const identity::Identity& identity, bool needs_pin);
    bool accepted(const KeyUse& use, const tpm::Auth& auth);
    void refused(const KeyEntry& entry);

    asio::awaitable<std::optional<Offer>> next_offer(KeyEntryPtr entry, const Requester& requester,
                                                     int refused);
    asio::awaitable<std::optional<Offer>> without_pin(KeyEntryPtr entry);
    asio::awaitable<Offer> wait_to_ask(KeyEntryPtr entry, std::optional<pid_t> process);
    asio::awaitable<std::optional<Offer>> ask(KeyEntryPtr entry, Offer offer, const Requester& requester,
                                              int refused);
    asio::awaitable<std::optional<tpm::Lockout>> lockout();

    KeyStore& keys_;
    TpmService& tpm_;
    prompt::Prompter prompter_;
    std::chrono::milliseconds answer_limit_;
    QuestionQueue questions_;
    Semaphore attempts_;        ///< at unverified PINs: one at a time
    bool refusal_seen_ = false; ///< of a PIN, since the agent started
    /// By the key's content: whether it has a PIN, learned from the TPM. Its file may be wrong about that.
    std::unordered_map<std::string, bool> learned_;
};

} // namespace sshtpm::agent
