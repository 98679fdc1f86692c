#pragma once
// Where a key's auth value comes from: it has none, it is known, or a person is asked for it.

#include "agent/pin_cache.hpp"
#include "agent/turns.hpp"
#include "identity/identity.hpp"
#include "prompt/prompter.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace sshtpm::agent {

/// An auth value to try; `auth` is null for a key without a PIN.
struct AuthOffer {
    tpm::Auth auth;
    bool known = false; ///< not typed for this request
    /// At asking for this key's PIN, held until the TPM's verdict is in: whoever needs the same PIN meanwhile
    /// waits, and then finds it known.
    std::optional<Turn> turn;
    /// At trying what nobody knows to be right, held likewise: the TPM's counter stays as it was read.
    std::optional<Turn> attempt = {};
};

class AuthSource {
  public:
    /// How long a person may take.
    static constexpr std::chrono::seconds answer_limit{120};

    AuthSource(const boost::asio::any_io_executor& loop, PinCache& pins,
               std::chrono::milliseconds limit = answer_limit);

    bool needs_pin(const identity::Identity& identity) const;
    /// False for a key whose file says that it has no PIN, where trying that may cost a try: the TPM counts
    /// wrong ones for it, and has not signed with it yet.
    bool is_proven(const identity::Identity& identity) const;

    /// What needs nobody to be asked: no PIN, or a known one.
    std::optional<AuthOffer> known(const identity::Identity& identity);

    /// Waits for the turn to ask. @returns the PIN if it has become known meanwhile, else an offer with the
    /// turn alone.
    boost::asio::awaitable<AuthOffer> wait_for_turn(std::shared_ptr<const identity::Identity> identity);

    using StillWanted = std::function<bool()>;

    /// Asks, for as long as a person may take. @returns nothing when there is nobody to ask, or no answer.
    /// Cancelling takes the question back.
    /// @param still_wanted looked at when it is this question's turn, and by `look_again`.
    boost::asio::awaitable<std::optional<tpm::Auth>> ask(std::string question, StillWanted still_wanted);

    /// For a yes or no, in the same way.
    boost::asio::awaitable<prompt::Confirmation> confirm(std::string question, StillWanted still_wanted);

    /// Takes back the questions that are no longer wanted.
    void look_again() { changes_.cancel(); }

    /// The TPM has taken it: only now is it remembered. @returns whether it is kept.
    bool taken(const identity::Identity& identity, const tpm::Auth& auth);
    /// The TPM has signed without one.
    void signed_without(const identity::Identity& identity);
    /// It has not. Of a key whose file says that it has no PIN, this says that it has.
    void refused(const identity::Identity& identity);

  private:
    Turns& turns_at(const identity::Identity& identity);
    template <class Answer>
    boost::asio::awaitable<Answer> while_wanted(boost::asio::awaitable<Answer> question,
                                                const StillWanted& still_wanted);

    boost::asio::any_io_executor loop_;
    prompt::Prompter prompter_;
    PinCache& pins_;
    std::chrono::milliseconds limit_;
    boost::asio::steady_timer changes_; ///< never rings; whoever waits for it is woken to look again
    Turns questions_;                   ///< windows on a person's screen at a time
    std::unordered_map<std::string, Turns> keys_; ///< by key blob, while in use
    std::unordered_set<std::string>
        mislabelled_;                        ///< key blobs: the file says "no PIN", the TPM says otherwise
    std::unordered_set<std::string> proven_; ///< private areas: the file says "no PIN", and so did the TPM
};

} // namespace sshtpm::agent
