#pragma once
// Where a key's auth value comes from: it has none, it is known, or a person is asked for it.

#include "agent/held_key.hpp"
#include "agent/pin_cache.hpp"
#include "agent/question_queue.hpp"
#include "agent/turns.hpp"
#include "base/time_limits.hpp"
#include "identity/identity.hpp"
#include "prompt/prompter.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

/// An auth value to try; `auth` is null for a key without a PIN.
struct AuthOffer {
    tpm::Auth auth = {};
    bool known = false; ///< not typed for this request
    /// Held until the TPM's verdict is in: requests that need the same PIN meanwhile wait, and then find it
    /// known.
    std::optional<QuestionQueue::Place> place = {};
    /// Held while an unverified PIN is tried, so that the TPM's counter stays as it was read.
    std::optional<Turn> attempt = {};
};

class AuthSource {
  public:
    AuthSource(const boost::asio::any_io_executor& loop, PinCache& pins,
               std::chrono::milliseconds limit = time_limits().answer);

    bool needs_pin(const identity::Identity& identity) const;
    /// False for a key whose file says that it has no PIN, where trying that may cost a try: the TPM counts
    /// wrong ones for it, and has not signed with it yet.
    bool is_proven(const identity::Identity& identity) const;

    /// What needs nobody to be asked: no PIN, or a known one.
    std::optional<AuthOffer> known(const identity::Identity& identity);

    /// Waits until this key's PIN may be asked for. @returns the PIN if it has become known meanwhile, else
    /// an offer with the place alone.
    boost::asio::awaitable<AuthOffer> wait_to_ask(std::shared_ptr<const identity::Identity> identity,
                                                  std::optional<pid_t> process);

    /// Asks, for as long as a person may take. @returns nothing when there is nobody to ask, or no answer.
    /// Cancelling takes the question back.
    boost::asio::awaitable<std::optional<tpm::Auth>> ask(std::string question);

    /// For a yes or no, when its turn has come.
    /// @param process as in QuestionQueue::Question.
    boost::asio::awaitable<prompt::Confirmation> confirm(std::string question, std::optional<pid_t> process);

    /// The TPM has taken it: only now is it remembered, for as long as the line lives at most.
    /// @returns whether it is kept.
    bool taken(const HeldKey& line, const tpm::Auth& auth);
    /// The TPM has signed without one.
    void signed_without(const identity::Identity& identity);
    /// It has not. Of a key whose file says that it has no PIN, this says that it has.
    void refused(const identity::Identity& identity);

  private:
    template <class Answer>
    boost::asio::awaitable<Answer> in_time(boost::asio::awaitable<Answer> question);

    boost::asio::any_io_executor loop_;
    prompt::Prompter prompter_;
    PinCache& pins_;
    std::chrono::milliseconds limit_;
    QuestionQueue questions_;
    std::unordered_set<std::string>
        mislabelled_;                        ///< key blobs: the file says "no PIN", the TPM says otherwise
    std::unordered_set<std::string> proven_; ///< private areas: the file says "no PIN", and so did the TPM
};

} // namespace sshtpm::agent
