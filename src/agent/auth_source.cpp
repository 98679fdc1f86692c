#include "agent/auth_source.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "prompt/policy.hpp"
#include "tpm/lockout.hpp"
#include "tpm/pin.hpp"
#include "tpm/tpm2b.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

/// A question that fails counts as no answer, Answer{}: `||` below passes over what throws. A cancelled one
/// throws.
template <class Answer>
asio::awaitable<Answer> or_say_why(asio::awaitable<Answer> question) {
    try {
        co_return co_await std::move(question);
    } catch (const boost::system::system_error& failure) {
        if (failure.code() == asio::error::operation_aborted) // taken back
            throw;
        log::error("asking a person: ", failure.code().message());
    } catch (const Error& failure) {
        log::error("asking a person: ", printable(failure.what()));
    }
    co_return Answer{};
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
    : loop_(loop), prompter_(loop), pins_(pins), limit_(limit), questions_(loop) {}

bool AuthSource::needs_pin(const identity::Identity& identity) const {
    return identity.needs_pin() || mislabelled_.contains(name_of(identity));
}

bool AuthSource::is_proven(const identity::Identity& identity) const {
    return needs_pin(identity) || !tpm::counts_wrong_pins(*identity.key) ||
           proven_.contains(file_of(identity));
}

std::optional<AuthOffer> AuthSource::known(const identity::Identity& identity) {
    if (!needs_pin(identity))
        return AuthOffer{.auth = nullptr, .known = true};
    if (auto pin = pins_.use(identity.public_key))
        return AuthOffer{.auth = std::move(*pin), .known = true};
    return std::nullopt;
}

asio::awaitable<AuthOffer> AuthSource::wait_to_ask(std::shared_ptr<const identity::Identity> identity,
                                                   std::optional<pid_t> process) {
    for (;;) {
        const bool on_terminal = prompt::choose_asker(prompt::current_circumstances(),
                                                      prompt::Program::agent) == prompt::Asker::terminal;
        QuestionQueue::Question question{
            .process = process, .key = name_of(*identity), .on_terminal = on_terminal};
        auto place = co_await questions_.wait(std::move(question));
        if (auto pin = pins_.use(identity->public_key))
            co_return AuthOffer{.auth = std::move(*pin), .known = true};
        if (place.open())
            co_return AuthOffer{.place = std::move(place)};
    }
}

/// Answer{} when the time is over: the question is taken back.
template <class Answer>
asio::awaitable<Answer> AuthSource::in_time(asio::awaitable<Answer> question) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(loop_, limit_);
    // Not thrown by both, which would come as asio::multiple_exceptions.
    boost::system::error_code cancelled;
    auto outcome = co_await (or_say_why(std::move(question)) ||
                             timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled)));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    if (cancelled)
        throw boost::system::system_error(cancelled);
    log::error("asking a person: no answer in ",
               std::chrono::duration_cast<std::chrono::seconds>(limit_).count(), " seconds");
    co_return Answer{};
}

asio::awaitable<std::optional<tpm::Auth>> AuthSource::ask(std::string question) {
    auto answer = co_await in_time(prompter_.ask(std::move(question)));
    if (!answer)
        co_return std::nullopt;
    co_return tpm::to_auth(std::move(*answer));
}

asio::awaitable<prompt::Confirmation> AuthSource::confirm(std::string text, std::optional<pid_t> process) {
    QuestionQueue::Question question{.process = process};
    const auto place = co_await questions_.wait(std::move(question));
    co_return co_await in_time(prompter_.confirm(std::move(text)));
}

bool AuthSource::taken(const HeldKey& line, const tpm::Auth& auth) {
    const auto& identity = *line.identity;
    if (!needs_pin(identity) && auth)
        mislabelled_.insert(name_of(identity));
    if (!needs_pin(identity)) {
        signed_without(identity);
        return false;
    }
    if (!pins_.remember(identity.public_key, auth, line.dies))
        return false;
    questions_.wake(name_of(identity));
    return true;
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
