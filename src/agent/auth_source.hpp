#pragma once
// Where a key's auth value comes from: it has none, the cache, or a person.

#include "agent/pin_cache.hpp"
#include "identity/identity.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/channel.hpp>

namespace sshtpm::agent {

/// The right to ask a person: one question at a time, because two on one terminal would be answered for each
/// other, with the echo of the second in the hands of the first. Given back when it goes.
class PromptTurn {
  public:
    using Channel = boost::asio::experimental::channel<void(boost::system::error_code)>;

    explicit PromptTurn(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
    PromptTurn(PromptTurn&&) = default;
    PromptTurn& operator=(PromptTurn&&) = default;
    ~PromptTurn();

  private:
    std::shared_ptr<Channel> channel_;
};

/// An auth value to try; `auth` is null for a key without a PIN.
struct AuthOffer {
    tpm::Auth auth;
    bool from_cache = false;
    /// Held until the TPM's verdict is known: whoever waits to ask for the same PIN finds it in the cache
    /// then.
    std::optional<PromptTurn> turn;
};

/// What happened so far in the request that asks for an auth value.
struct Attempt {
    int refused = 0;                         ///< PINs of a person that the TPM has refused
    std::optional<std::uint32_t> tries_left; ///< before the TPM locks, where it is known
};

class AuthSource {
  public:
    explicit AuthSource(const boost::asio::any_io_executor& loop);

    /// @returns nothing when there is nobody to ask, or no answer. Cancelling takes the question back.
    boost::asio::awaitable<std::optional<AuthOffer>>
    auth_for(std::shared_ptr<const identity::Identity> identity, Attempt attempt);

    /// The TPM has taken it: only now is it remembered.
    void taken(const identity::Identity& identity, const AuthOffer& offer);
    /// It has not. Of a key whose file says that it has no PIN, this says that it has.
    void refused(const identity::Identity& identity);
    void forget(const identity::Identity& identity) { cache_.forget(identity.public_key); }

    /// Whether a person is to be asked, or the PIN is known or none is needed.
    bool must_ask(const identity::Identity& identity) const;

  private:
    bool needs_pin(const identity::Identity& identity) const;

    std::shared_ptr<PromptTurn::Channel> prompt_turn_; ///< holds one message while somebody asks
    PinCache cache_;
    std::unordered_set<std::string>
        mislabelled_; ///< key blobs: the file says "no PIN", the TPM says otherwise
};

} // namespace sshtpm::agent
