#include "agent/auth_source.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "tpm/lockout.hpp"
#include "tpm/pin.hpp"
#include "tpm/tpm2b.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

/// Windows on a person's screen at a time: a client that asks without end must not fill it.
constexpr std::size_t most_questions = 4;

/// A question that fails is one without an answer, Answer{}: `||` below waits for whatever ends well.
template <class Answer>
asio::awaitable<Answer> or_say_why(asio::awaitable<Answer> question) {
    try {
        co_return co_await std::move(question);
    } catch (const boost::system::system_error& failure) {
        if (failure.code() != asio::error::operation_aborted) // taken back
            log::error("asking a person: ", failure.code().message());
    } catch (const Error& failure) {
        log::error("asking a person: ", printable(failure.what()));
    }
    co_return Answer{};
}

/// Returns when the question is no longer wanted.
asio::awaitable<void> until_unwanted(asio::steady_timer& changes,
                                     const AuthSource::StillWanted& still_wanted) {
    while (still_wanted()) {
        boost::system::error_code ignored;
        co_await changes.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
        if (cancelled != asio::cancellation_type::none) // this wait itself, and not the timer
            co_return;
    }
}

std::string name_of(const identity::Identity& identity) {
    return std::string(text_of(identity.public_key.blob()));
}

/// Of two files of one key, one may have a PIN.
std::string file_of(const identity::Identity& identity) {
    return std::string(text_of(tpm::view_of(identity.key->private_area)));
}

} // namespace

AuthSource::AuthSource(const asio::any_io_executor& loop, PinCache& pins, std::chrono::milliseconds limit)
    : loop_(loop), prompter_(loop), pins_(pins), limit_(limit),
      changes_(loop, asio::steady_timer::time_point::max()), questions_(loop, most_questions) {}

bool AuthSource::needs_pin(const identity::Identity& identity) const {
    return identity.needs_pin() || mislabelled_.contains(name_of(identity));
}

bool AuthSource::is_proven(const identity::Identity& identity) const {
    return needs_pin(identity) || !tpm::counts_wrong_pins(*identity.key) ||
           proven_.contains(file_of(identity));
}

std::optional<AuthOffer> AuthSource::known(const identity::Identity& identity) {
    if (!needs_pin(identity))
        return AuthOffer{.auth = nullptr, .known = true, .turn = {}};
    if (auto pin = pins_.use(identity.public_key))
        return AuthOffer{.auth = std::move(*pin), .known = true, .turn = {}};
    return std::nullopt;
}

Turns& AuthSource::turns_at(const identity::Identity& identity) {
    std::erase_if(keys_, [](const auto& entry) { return !entry.second.in_use(); });
    return keys_.try_emplace(name_of(identity), loop_, 1).first->second;
}

asio::awaitable<AuthOffer> AuthSource::wait_for_turn(std::shared_ptr<const identity::Identity> identity) {
    AuthOffer offer;
    offer.turn.emplace(co_await turns_at(*identity).take());
    if (auto pin = pins_.use(identity->public_key)) {
        offer.auth = std::move(*pin);
        offer.known = true;
    }
    co_return std::move(offer);
}

/// Answer{} when the time is over, or nobody wants one any more: the question is taken back.
template <class Answer>
asio::awaitable<Answer> AuthSource::while_wanted(asio::awaitable<Answer> question,
                                                 const StillWanted& still_wanted) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(loop_, limit_);
    auto outcome = co_await (or_say_why(std::move(question)) || timer.async_wait(asio::use_awaitable) ||
                             until_unwanted(changes_, still_wanted));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    if (outcome.index() == 1)
        log::error("asking a person: no answer in ",
                   std::chrono::duration_cast<std::chrono::seconds>(limit_).count(), " seconds");
    else
        log::info("asking a person: the question is taken back");
    co_return Answer{};
}

asio::awaitable<std::optional<tpm::Auth>> AuthSource::ask(std::string question, StillWanted still_wanted) {
    const auto turn = co_await questions_.take();
    if (!still_wanted())
        co_return std::nullopt;
    auto answer = co_await while_wanted(prompter_.ask(std::move(question)), still_wanted);
    if (!answer)
        co_return std::nullopt;
    co_return tpm::to_auth(std::move(*answer));
}

asio::awaitable<prompt::Confirmation> AuthSource::confirm(std::string question, StillWanted still_wanted) {
    const auto turn = co_await questions_.take();
    if (!still_wanted())
        co_return prompt::Confirmation::unanswered;
    co_return co_await while_wanted(prompter_.confirm(std::move(question)), still_wanted);
}

bool AuthSource::taken(const identity::Identity& identity, const tpm::Auth& auth) {
    if (!needs_pin(identity) && auth)
        mislabelled_.insert(name_of(identity));
    if (!needs_pin(identity)) {
        signed_without(identity);
        return false;
    }
    return pins_.remember(identity.public_key, auth);
}

void AuthSource::signed_without(const identity::Identity& identity) {
    if (!is_proven(identity))
        proven_.insert(file_of(identity));
}

void AuthSource::refused(const identity::Identity& identity) {
    pins_.forget(identity.public_key);
    if (!identity.needs_pin())
        mislabelled_.insert(name_of(identity));
}

} // namespace sshtpm::agent
