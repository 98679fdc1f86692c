#include "agent/auth_source.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "prompt/ask.hpp"
#include "ssh/fingerprint.hpp"
#include "tpm/pin.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds answer_limit{120};

std::string question(const identity::Identity& identity, const Attempt& attempt) {
    std::string text = attempt.refused > 0 ? "That PIN is wrong. " : "";
    if (attempt.tries_left && *attempt.tries_left <= 1)
        text += "LAST TRY: another wrong PIN locks the TPM. ";
    else if (attempt.tries_left)
        text += std::to_string(*attempt.tries_left) + " tries left. ";
    return text + "Enter PIN for key '" + printable(identity.comment) + "' (" +
           ssh::fingerprint(identity.public_key.blob()) + "): ";
}

/// A question that fails is one without an answer: `||` below waits for whatever ends well.
asio::awaitable<std::optional<Secret>> ask_or_say_why(std::string text) {
    try {
        co_return co_await prompt::ask(std::move(text), prompt::Program::agent);
    } catch (const boost::system::system_error& failure) {
        if (failure.code() != asio::error::operation_aborted) // taken back
            log::error("asking for a PIN: ", failure.code().message());
    } catch (const Error& failure) {
        log::error("asking for a PIN: ", printable(failure.what()));
    }
    co_return std::nullopt;
}

/// Nothing when the time is over, too: the question is taken back.
asio::awaitable<std::optional<Secret>> ask_within(std::string text, std::chrono::seconds limit) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, limit);
    auto outcome = co_await (ask_or_say_why(std::move(text)) || timer.async_wait(asio::use_awaitable));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    co_return std::nullopt;
}

std::string name_of(const identity::Identity& identity) {
    return std::string(text_of(identity.public_key.blob()));
}

} // namespace

PromptTurn::~PromptTurn() {
    if (channel_)
        channel_->try_receive([](const boost::system::error_code&) {});
}

AuthSource::AuthSource(const asio::any_io_executor& loop)
    : prompt_turn_(std::make_shared<PromptTurn::Channel>(loop, 1)) {}

bool AuthSource::needs_pin(const identity::Identity& identity) const {
    return identity.needs_pin() || mislabelled_.contains(name_of(identity));
}

bool AuthSource::must_ask(const identity::Identity& identity) const {
    return needs_pin(identity) && !cache_.find(identity.public_key);
}

asio::awaitable<std::optional<AuthOffer>>
AuthSource::auth_for(std::shared_ptr<const identity::Identity> identity, Attempt attempt) {
    if (!needs_pin(*identity))
        co_return AuthOffer{};
    if (auto known = cache_.find(identity->public_key))
        co_return AuthOffer{.auth = std::move(*known), .from_cache = true, .turn = {}};

    co_await prompt_turn_->async_send(boost::system::error_code(), asio::use_awaitable);
    AuthOffer offer;
    offer.turn.emplace(prompt_turn_);
    if (auto known = cache_.find(identity->public_key)) { // answered while we waited
        offer.auth = std::move(*known);
        offer.from_cache = true;
        co_return std::move(offer);
    }
    auto answer = co_await ask_within(question(*identity, attempt), answer_limit);
    if (!answer) {
        log::error(
            "no PIN for key '", printable(identity->comment),
            "': nobody answered (an agent in the background of its terminal asks by SSH_ASKPASS, where there "
            "is DISPLAY, WAYLAND_DISPLAY or SSH_ASKPASS_REQUIRE=force)");
        co_return std::nullopt;
    }
    offer.auth = tpm::to_auth(std::move(*answer));
    co_return std::move(offer);
}

void AuthSource::taken(const identity::Identity& identity, const AuthOffer& offer) {
    if (needs_pin(identity) && !offer.from_cache)
        cache_.remember(identity.public_key, offer.auth);
}

void AuthSource::refused(const identity::Identity& identity) {
    cache_.forget(identity.public_key);
    if (!identity.needs_pin())
        mislabelled_.insert(name_of(identity));
}

} // namespace sshtpm::agent
