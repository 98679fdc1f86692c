// SPDX-License-Identifier: MIT
#include "agent/pin_broker.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "ssh/digest.hpp"
#include "tpm/context.hpp"
#include "tpm/lockout.hpp"
#include "tpm/session.hpp"

#include <cstdint>

namespace sshtpm::agent {

namespace {

constexpr int most_tries = 3;
constexpr std::size_t most_learned = 1000; ///< more keys than a person has

std::string key_name(const identity::Identity& identity) {
    return std::string(text_of(identity.public_key.blob()));
}

/// Identifies a key file: of two files with the same key, one may have a PIN.
std::string content_of(const identity::Identity& identity) {
    return key_name(identity).append(text_of(tpm::view_of(identity.key->private_area)));
}

/// Withdraws the question at the time limit. @returns `late` then
template <class Answer>
asio::awaitable<Answer> in_time(asio::awaitable<Answer> question, std::chrono::milliseconds limit,
                                Answer late) {
    const auto loop = co_await asio::this_coro::executor;
    asio::steady_timer timer(loop, limit);
    auto [order, failure, answer, cancelled] =
        co_await asio::experimental::make_parallel_group(
            asio::co_spawn(loop, std::move(question), asio::deferred), timer.async_wait(asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (order[0] == 1) {
        if (cancelled)
            throw SystemError(cancelled);
        co_return std::move(late);
    }
    if (failure)
        std::rethrow_exception(failure);
    co_return std::move(answer);
}

/// Logs the reason and a remedy in one line. @throws Refused
[[noreturn]] void refuse_without_pin(const identity::Identity& identity, prompt::Unanswered reason) {
    std::string more;
    if (reason == prompt::Unanswered::nobody)
        more.append(": this process is not in the foreground of a terminal, and ")
            .append(prompt::askpass_needs)
            .append("; \"ssh-tpm-add --pin\" gives the PIN beforehand");
    if (reason == prompt::Unanswered::empty)
        more = "; if the key has no PIN, \"ssh-tpm-keygen -p -P '' -N '' -f FILE\" corrects its file";
    const auto what =
        "no PIN was given for " + identity.name() + ": " + std::string(prompt::in_words(reason));
    log::error("sign: refused: ", what, more);
    throw Refused(what, "give the agent the PIN beforehand: `ssh-tpm add --pin`");
}

/// After an attempt without a PIN.
void log_pin_needed(const identity::Identity& identity) {
    const auto what = "the TPM does not sign with " + identity.name() + " without a PIN";
    if (identity.needs_pin() || !tpm::counts_wrong_pins(*identity.key))
        log::info(what);
    else
        log::warning(what, ", and its file says that it has none, which costs a try each time this agent "
                           "starts; \"ssh-tpm-keygen -p -f FILE\" corrects the file");
}

/// For protocol::try_pin_reply.
std::uint32_t tries_to_tell(const std::optional<tpm::Lockout>& lockout) {
    return lockout && lockout->counts() ? lockout->tries_left() : protocol::unknown_tries;
}

} // namespace

bool may_be_last_try(const std::optional<tpm::Lockout>& lockout) {
    return !lockout || lockout->last_try();
}

std::optional<std::string> why_not_ask(const std::optional<tpm::Lockout>& lockout, int refused) {
    if (lockout && lockout->active)
        return tpm::lockout_text(*lockout);
    // A request with a refused PIN must not lock the TPM for all keys.
    if (refused > 0 && lockout && lockout->last_try())
        return "another wrong one locks the TPM";
    return std::nullopt;
}

PinBroker::PinBroker(const asio::any_io_executor& loop, KeyStore& keys, TpmService& tpm,
                     prompt::PrompterClient& prompter, std::chrono::milliseconds answer_limit)
    : keys_(keys), tpm_(tpm), prompter_(prompter), answer_limit_(answer_limit), questions_(loop),
      attempts_(loop, 1) {}

bool PinBroker::needs_pin(const identity::Identity& identity) const {
    const auto found = learned_.find(content_of(identity));
    return found == learned_.end() ? identity.needs_pin() : found->second;
}

/// True if the TPM has shown that the key has no PIN. For a key whose wrong PINs the TPM does not count, also
/// true until the TPM refuses the attempt without a PIN, which costs no try. The file does not decide it.
bool PinBroker::may_lack_pin(const identity::Identity& identity) const {
    const auto found = learned_.find(content_of(identity));
    return found == learned_.end() ? !tpm::counts_wrong_pins(*identity.key) : !found->second;
}

void PinBroker::learn(const identity::Identity& identity, bool needs) {
    if (learned_.size() >= most_learned) // costs a try for each key whose file is wrong
        learned_.clear();
    learned_[content_of(identity)] = needs;
}

/// @returns true if the PIN is kept. It is not kept after a lock, which has wiped all PINs.
bool PinBroker::accepted(const KeyUse& use, const tpm::Auth& auth) {
    auto& entry = *use.entry();
    learn(*entry.identity, auth != nullptr);
    const bool kept = auth && !use.ended() && keys_.keep_pin(entry, auth);
    if (kept || !auth)
        questions_.wake(key_name(*entry.identity));
    return kept;
}

void PinBroker::refused(const KeyEntry& entry) {
    learn(*entry.identity, true);
    keys_.forget_pin(entry);
}

asio::awaitable<ssh::RawSignature> PinBroker::with_auth(KeyUsePtr use, const Requester& requester,
                                                        const Attempt& attempt) {
    const auto& entry = use->entry();
    tpm::Auth refused_auth; // the last one
    for (int refused_pins = 0; refused_pins < most_tries;) {
        const auto offer = co_await next_offer(entry, requester, refused_pins);
        // A script, or a program that has stored the PIN, gives the same answer each time.
        if (offer.typed && refused_auth && same_secret(*offer.auth, *refused_auth)) {
            log::error("the PIN that the TPM has just refused was given again for ", entry->identity->name(),
                       "; it was not tried again");
            ++refused_pins;
            continue;
        }
        auto result = co_await attempt(offer.auth);
        if (auto* signature = std::get_if<ssh::RawSignature>(&result)) {
            if (offer.typed || !offer.auth)
                accepted(*use, offer.auth);
            co_return std::move(*signature);
        }
        if (offer.auth)
            log::error("the TPM refused the PIN of ", entry->identity->name());
        else
            log_pin_needed(*entry->identity);
        refused(*entry);
        refused_auth = offer.auth;
        refused_pins += offer.typed ? 1 : 0;
    }
    throw Refused("the TPM refused the PIN of " + entry->identity->name());
}

/// @throws Refused if no PIN may be tried
asio::awaitable<PinBroker::Offer> PinBroker::next_offer(KeyEntryPtr entry, const Requester& requester,
                                                        int refused_pins) {
    if (may_lack_pin(*entry->identity))
        co_return Offer{};
    if (!needs_pin(*entry->identity)) {
        if (auto offer = co_await without_pin(entry))
            co_return std::move(*offer);
    } else if (auto pin = keys_.use_pin(*entry)) {
        co_return Offer{.auth = std::move(*pin)};
    }
    auto offer = co_await wait_to_ask(entry, requester.process());
    if (!offer.place)
        co_return std::move(offer);
    co_return co_await ask(std::move(entry), std::move(offer), requester, refused_pins);
}

/// Offers no PIN if the file says that the key has none. The file may be wrong; the attempt then costs a try,
/// and must not use the last one.
/// @returns nothing if a person must be asked
asio::awaitable<std::optional<PinBroker::Offer>> PinBroker::without_pin(KeyEntryPtr entry) {
    const auto identity = entry->identity;
    Offer offer;
    offer.permit.emplace(co_await attempts_.acquire());
    if (may_lack_pin(*identity)) // the attempt before has shown it
        co_return Offer{};
    if (needs_pin(*identity))
        co_return std::nullopt;
    const auto state = co_await lockout(*identity->key);
    if (!may_be_last_try(state) && !state->active)
        co_return std::move(offer);
    log::info(
        identity->name(),
        ": the file says that the key has no PIN; it is not tried without one now, because the TPM could "
        "lock if the file is wrong");
    co_return std::nullopt;
}

/// Waits until a person may be asked for this key's PIN.
/// @returns an offer with a place in the queue, or with the PIN if it is known by now
asio::awaitable<PinBroker::Offer> PinBroker::wait_to_ask(KeyEntryPtr entry, std::optional<pid_t> process) {
    for (;;) {
        const auto asker = co_await prompter_.who();
        QuestionQueue::Question question{.process = process,
                                         .key = key_name(*entry->identity),
                                         .on_terminal = asker == prompt::Asker::terminal};
        auto place = co_await questions_.wait(std::move(question));
        if (may_lack_pin(*entry->identity))
            co_return Offer{};
        if (auto pin = keys_.use_pin(*entry))
            co_return Offer{.auth = std::move(*pin)};
        if (place.open())
            co_return Offer{.typed = true, .place = std::move(place)};
    }
}

asio::awaitable<PinBroker::Offer> PinBroker::ask(KeyEntryPtr entry, Offer offer, const Requester& requester,
                                                 int refused_pins) {
    const auto identity = entry->identity;
    auto state = co_await lockout(*identity->key);
    for (;;) {
        if (const auto reason = why_not_ask(state, refused_pins)) {
            const bool locked = state && state->active;
            const Refused refusal("not asking for the PIN of " + identity->name() + ": " + *reason,
                                  locked ? tpm::lockout_hint(*state) : "");
            log::report(refusal);
            throw refusal;
        }
        co_await tpm_.make_ready(identity);
        auto answer = co_await in_time<prompt::Answer>(
            prompter_.ask(pin_question(*identity, requester, state, refused_pins)), answer_limit_,
            prompt::Unanswered::late);
        if (auto* pin = std::get_if<Secret>(&answer))
            offer.auth = naming(identity->name(), [&] { return tpm::to_auth(std::move(*pin)); });
        if (!offer.auth) {
            const auto* reason = std::get_if<prompt::Unanswered>(&answer);
            refuse_without_pin(*identity, reason ? *reason : prompt::Unanswered::empty);
        }
        // Tries may have been used while the person typed. Until this PIN is tried, no other attempt uses
        // one.
        offer.permit.emplace(co_await attempts_.acquire());
        const auto now = co_await lockout(*identity->key);
        const bool locked = now && now->active;
        if (!locked && (may_be_last_try(state) || !may_be_last_try(now)))
            co_return std::move(offer);
        offer.permit.reset(); // the person was not told that this may be the last try
        state = now;
    }
}

/// @returns nothing if reading it fails twice
asio::awaitable<std::optional<tpm::Lockout>> PinBroker::lockout(const keyfile::KeyFile& key) {
    if (!tpm::counts_wrong_pins(key))
        co_return tpm::not_counted;
    for (int times = 0; times < 2; ++times) {
        try { // caught because a signature does not depend on it
            co_return co_await tpm_.lockout();
        } catch (const Error& error) {
            log::debug("reading the TPM's lockout counter: ", error.what());
        }
    }
    co_return std::nullopt;
}

asio::awaitable<prompt::Confirmation> PinBroker::confirm(IdentityPtr identity, const Requester& requester) {
    QuestionQueue::Question question{.process = requester.process()};
    const auto place = co_await questions_.wait(std::move(question));
    co_return co_await in_time(prompter_.confirm(confirm_question(*identity, requester)), answer_limit_,
                               prompt::Confirmation::unanswered);
}

asio::awaitable<PinBroker::PinTrial> PinBroker::try_given_pin(KeyUsePtr use, tpm::Auth pin,
                                                              std::uint32_t tries_told) {
    using protocol::PinOutcome;
    const auto entry = use->entry();
    const auto identity = entry->identity;
    const auto hash = identity::trial_hash(*identity);
    const auto digest = ssh::digest(hash, identity->public_key.blob());
    const PinTrial has_none{PinOutcome::kept, protocol::unknown_tries, "the key has no PIN"};
    if (!needs_pin(*identity)) {
        if (learned_.contains(content_of(*identity)))
            co_return has_none;
        // The file says so, and may be wrong.
        if (const auto offer = co_await without_pin(entry)) {
            const auto result = co_await tpm_.sign(identity, offer->auth, hash, digest);
            if (!std::holds_alternative<tpm::WrongAuth>(result)) {
                accepted(*use, offer->auth);
                co_return has_none;
            }
            log_pin_needed(*identity);
            refused(*entry);
        }
    }
    const auto permit = co_await attempts_.acquire();
    const auto before = co_await lockout(*identity->key);
    if (before && before->active)
        co_return PinTrial{PinOutcome::lockout, 0, tpm::lockout_text(*before)};
    co_await tpm_.make_ready(identity);
    if (!pin)
        co_return PinTrial{PinOutcome::not_tried, tries_to_tell(before), "no PIN was tried"};
    if (may_be_last_try(before) && tries_told > 1)
        co_return PinTrial{
            PinOutcome::not_tried, 1,
            before ? "the PIN was not tried: a wrong one would lock the TPM"
                   : "the PIN was not tried: the TPM does not say whether a wrong one would lock it"};
    const auto result = co_await tpm_.sign(identity, pin, hash, digest);
    if (std::holds_alternative<tpm::WrongAuth>(result)) {
        refused(*entry);
        const auto after = co_await lockout(*identity->key);
        co_return PinTrial{PinOutcome::wrong, tries_to_tell(after),
                           after ? tpm::lockout_text(*after) : "the PIN is wrong"};
    }
    if (accepted(*use, pin))
        co_return PinTrial{PinOutcome::kept, protocol::unknown_tries, "the PIN is right"};
    co_return PinTrial{PinOutcome::not_kept, protocol::unknown_tries,
                       "the PIN is right, and this agent keeps none"};
}

} // namespace sshtpm::agent
