#include "agent/auth_source.hpp"

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

std::string question(const identity::Identity& identity, int refused_before) {
    std::string text = refused_before > 0 ? "That PIN is wrong. " : "";
    return text + "Enter PIN for key '" + printable(identity.comment) + "' (" +
           ssh::fingerprint(identity.public_key.blob()) + "): ";
}

/// Nothing when the time is over, too: the question is taken back.
asio::awaitable<std::optional<Secret>> ask_within(std::string text, std::chrono::seconds limit) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, limit);
    auto outcome = co_await (prompt::ask(std::move(text), prompt::Program::agent) ||
                             timer.async_wait(asio::use_awaitable));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    co_return std::nullopt;
}

} // namespace

asio::awaitable<std::optional<AuthOffer>>
AuthSource::auth_for(std::shared_ptr<const identity::Identity> identity, int refused_before) {
    if (!identity->needs_pin())
        co_return AuthOffer{};
    if (auto known = cache_.find(identity->public_key))
        co_return AuthOffer{.auth = std::move(*known), .from_cache = true};

    auto answer = co_await ask_within(question(*identity, refused_before), answer_limit);
    if (!answer) {
        log::error(
            "no PIN for key '", printable(identity->comment),
            "': nobody answered (SSH_ASKPASS with DISPLAY or SSH_ASKPASS_REQUIRE=force, or a terminal)");
        co_return std::nullopt;
    }
    // An empty answer is tried, too: some writers of key files say "has a PIN" of keys that have none.
    co_return AuthOffer{.auth = tpm::to_auth(std::move(*answer))};
}

void AuthSource::taken(const identity::Identity& identity, const AuthOffer& offer) {
    if (identity.needs_pin() && !offer.from_cache)
        cache_.remember(identity.public_key, offer.auth);
}

void AuthSource::refused(const identity::Identity& identity) {
    cache_.forget(identity.public_key);
}

} // namespace sshtpm::agent
