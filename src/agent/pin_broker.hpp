// SPDX-License-Identifier: MIT
#pragma once
// Finds the auth value for a key: a known PIN, or one that a person types. Watches the number of tries that
// the TPM has left.

#include "agent/key_store.hpp"
#include "agent/questions.hpp"
#include "agent/semaphore.hpp"
#include "agent/tpm_thread.hpp"
#include "base/time_limits.hpp"
#include "prompt/prompter_client.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

namespace sshtpm::agent {

/// True if another wrong PIN may lock the TPM. @param lockout nothing if the TPM did not report it
bool may_be_last_try(const std::optional<tpm::Lockout>& lockout);

/// @param refused the number of PINs that the TPM has refused in this request
/// @returns the reason why no person may be asked for a PIN now; nothing if one may be
std::optional<std::string> why_not_ask(const std::optional<tpm::Lockout>& lockout, int refused);

/// A request is refused, for a reason that was logged.
class Refused : public Error {
  public:
    explicit Refused(const std::string& reason, std::string hint = {})
        : Error(Errc::refused, reason, std::move(hint)) {}
};

class PinBroker {
  public:
    /// The referenced objects must outlive this one.
    PinBroker(const asio::any_io_executor& loop, KeyStore& keys, TpmService& tpm,
              prompt::PrompterClient& prompter,
              std::chrono::milliseconds answer_limit = time_limits().answer);

    /// An operation of the TPM with a key's auth value.
    using Attempt = std::function<asio::awaitable<identity::SignResult>(tpm::Auth)>;

    /// Runs the attempt with the auth value of the key: with none, with a known PIN, or with up to three that
    /// a person types. Keeps a PIN that the TPM accepts.
    /// @throws Refused if no PIN may be tried, or the TPM has accepted none; Error if the TPM fails
    asio::awaitable<ssh::RawSignature> with_auth(KeyUsePtr use, const Requester& requester,
                                                 const Attempt& attempt);

    /// Waits for a place in the queue, then asks whether the key may be used.
    asio::awaitable<prompt::Confirmation> confirm(IdentityPtr identity, const Requester& requester);

    struct PinTrial {
        protocol::PinOutcome outcome;
        std::uint32_t tries_left = protocol::unknown_tries;
        std::string text; ///< for a person
    };
    /// Tries this PIN with a signature, and keeps a right one. Does not use the last try unless the client
    /// knows that it is the last.
    /// @param tries_told the number of tries that the client was told before
    asio::awaitable<PinTrial> try_given_pin(KeyUsePtr use, tpm::Auth pin, std::uint32_t tries_told);

  private:
    /// An auth value to try; null for a key without a PIN.
    struct Offer {
        tpm::Auth auth = {};
        bool typed = false; ///< a person has typed it for this request
        /// Held until the TPM has tried the PIN: other requests that need the same PIN wait, and then find it
        /// known.
        std::optional<QuestionQueue::Place> place = {};
        /// Held while an unverified PIN is tried, so that the TPM's counter stays as it was read.
        std::optional<Permit> permit = {};
    };

    bool needs_pin(const identity::Identity& identity) const;
    bool may_lack_pin(const identity::Identity& identity) const;
    void learn(const identity::Identity& identity, bool needs_pin);
    bool accepted(const KeyUse& use, const tpm::Auth& auth);
    void refused(const KeyEntry& entry);

    asio::awaitable<Offer> next_offer(KeyEntryPtr entry, const Requester& requester, int refused);
    asio::awaitable<std::optional<Offer>> without_pin(KeyEntryPtr entry);
    asio::awaitable<Offer> wait_to_ask(KeyEntryPtr entry, std::optional<pid_t> process);
    asio::awaitable<Offer> ask(KeyEntryPtr entry, Offer offer, const Requester& requester, int refused);
    asio::awaitable<std::optional<tpm::Lockout>> lockout(const keyfile::KeyFile& key);

    KeyStore& keys_;
    TpmService& tpm_;
    prompt::PrompterClient& prompter_;
    std::chrono::milliseconds answer_limit_;
    QuestionQueue questions_;
    Semaphore attempts_; ///< one attempt with an unverified PIN at a time
    /// Whether a key has a PIN, as the TPM has shown, by content_of(key). The file may be wrong about it.
    std::unordered_map<std::string, bool> learned_;
};

} // namespace sshtpm::agent
