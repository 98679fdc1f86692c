#include "agent/signer.hpp"

#include "agent/question.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "protocol/permission.hpp"
#include "ssh/digest.hpp"
#include "tpm/lockout.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr int most_tries = 3;

/// What is not known is taken for the worst.
bool may_be_last(const std::optional<tpm::Lockout>& state) {
    return !state || state->last_try();
}

} // namespace

Signer::Signer(const asio::any_io_executor& loop, State& state, TpmService& tpm)
    : state_(state), tpm_(tpm), auth_source_(loop, state.pins), attempts_(loop, 1) {}

asio::awaitable<std::optional<Bytes>> Signer::sign(KeyUsePtr use, protocol::SignRequest request,
                                                   const Client& client) {
    auto signature = co_await while_in_use(use, sign_in_use(use, std::move(request), client));
    if (use->ended())
        log::info("sign: refused: meanwhile the agent was locked, or key '",
                  printable(use->line()->identity->comment), "' was removed or given other terms");
    co_return std::move(signature);
}

asio::awaitable<std::optional<Bytes>> Signer::sign_in_use(KeyUsePtr use, protocol::SignRequest request,
                                                          const Client& client) {
    const auto& line = use->line();
    if (!protocol::may_sign(line->constraints, client.sessions, request.key_blob, request.data)) {
        log::info("sign: refused by the key's destination constraints");
        co_return std::nullopt;
    }
    const auto& identity = *line->identity;
    const auto algorithm = ssh::choose_algorithm(identity.public_key.type(), request.flags);
    if (!algorithm) {
        log::info("sign: refused \"ssh-rsa\" (SHA-1) with key '", printable(identity.comment), "'");
        co_return std::nullopt;
    }
    const Requester requester(client, request.data);
    if (line->constraints.confirm) {
        const auto outcome =
            co_await auth_source_.confirm(confirm_question(identity, requester), requester.process());
        log::info("sign: ", prompt::in_words(outcome), " the use of key '", printable(identity.comment), "'");
        if (outcome != prompt::Confirmation::yes)
            co_return std::nullopt;
    }
    const auto digest = ssh::digest(algorithm->hash, request.data);
    const auto signature = co_await sign_digest(use, algorithm->hash, digest, requester);
    if (!signature)
        co_return std::nullopt;
    co_return ssh::encode_signature(identity.public_key, *algorithm, *signature);
}

asio::awaitable<std::optional<ssh::RawSignature>>
Signer::sign_digest(KeyUsePtr use, ssh::Hash hash, Bytes digest, const Requester& requester) {
    const auto& identity = use->line()->identity;
    for (int refused = 0; refused < most_tries;) {
        const auto offer = co_await next_offer(identity, refused, requester);
        if (!offer)
            co_return std::nullopt;
        auto result = co_await tpm_.sign(identity, offer->auth, hash, digest);
        if (auto* signature = std::get_if<ssh::RawSignature>(&result)) {
            if (!offer->known)
                keep_pin(*use, offer->auth);
            else if (offer->known && !offer->auth)
                auth_source_.signed_without(*identity);
            co_return std::move(*signature);
        }
        log::error("the TPM refused the PIN of key '", printable(identity->comment), "'");
        auth_source_.refused(*identity);
        refusal_seen_ = true;
        if (!offer->known)
            ++refused;
    }
    co_return std::nullopt;
}

asio::awaitable<std::optional<AuthOffer>> Signer::next_offer(IdentityPtr identity, int refused,
                                                             const Requester& requester) {
    if (auto known = auth_source_.known(*identity)) {
        if (auth_source_.is_proven(*identity))
            co_return std::move(known);
        if (auto unproven = co_await without_pin(identity, std::move(*known)))
            co_return std::move(unproven);
    }
    auto offer = co_await auth_source_.wait_to_ask(identity, requester.process());
    if (offer.known)
        co_return std::move(offer);
    co_return co_await ask(std::move(identity), std::move(offer), refused, requester);
}

/// Not after a lock, which has wiped all PINs, and not beside a looser line of the key, which would use the
/// PIN without what this one demands.
bool Signer::keep_pin(const KeyUse& use, const tpm::Auth& auth) {
    return !use.ended() && !state_.keys.has_looser(*use.line()) && auth_source_.taken(*use.line(), auth);
}

/// What the file of a key says of its having no PIN may be wrong, and then costs a try: not the last one.
/// @returns nothing when a person is to be asked first.
asio::awaitable<std::optional<AuthOffer>> Signer::without_pin(IdentityPtr identity, AuthOffer offer) {
    offer.attempt.emplace(co_await attempts_.take());
    if (auth_source_.is_proven(*identity)) // by the attempt before
        co_return auth_source_.known(*identity);
    const auto state = co_await lockout();
    if (!may_be_last(state) && !state->active)
        co_return std::move(offer);
    log::info("whether key '", printable(identity->comment),
              "' has no PIN, as its file says, is not tried: one that it has would lock the TPM");
    co_return std::nullopt;
}

/// Whether a person is asked, as the TPM's counter stands.
bool Signer::may_ask(const identity::Identity& identity, const std::optional<tpm::Lockout>& state,
                     int refused) {
    if (state && state->active) {
        log::error("not asking for the PIN of key '", printable(identity.comment),
                   "': ", tpm::lockout_text(*state));
        return false;
    }
    // The last try before the TPM locks all guarded keys is not spent within a request that has failed
    // already.
    if (refused > 0 && state && state->last_try()) {
        log::error("not asking for the PIN of key '", printable(identity.comment),
                   "' again: one more wrong one locks the TPM");
        return false;
    }
    return true;
}

asio::awaitable<std::optional<AuthOffer>> Signer::ask(IdentityPtr identity, AuthOffer offer, int refused,
                                                      const Requester& requester) {
    auto state = co_await lockout();
    while (may_ask(*identity, state, refused)) {
        co_await tpm_.make_ready(identity);
        auto pin = co_await auth_source_.ask(pin_question(*identity, requester, state, refused));
        if (!pin) {
            log::error("no PIN for key '", printable(identity->comment), "': no answer came");
            co_return std::nullopt;
        }
        // Tries may have been spent while the person typed, and are not until this one is.
        offer.attempt.emplace(co_await attempts_.take());
        const auto now = co_await lockout();
        const bool locked = now && now->active;
        // For ssh an empty answer means "no". It is tried once, because some writers of key files say "has a
        // PIN" of keys that have none, but not where it may be the last try.
        if (!*pin && (refusal_seen_ || may_be_last(now)))
            co_return std::nullopt;
        if (!locked && (may_be_last(state) || !may_be_last(now))) {
            offer.auth = std::move(*pin);
            co_return std::move(offer);
        }
        offer.attempt.reset(); // the answer was for a question that did not say what is at stake
        state = now;
    }
    co_return std::nullopt;
}

/// Nothing when the TPM does not say, also when it is asked again: a person is told so.
asio::awaitable<std::optional<tpm::Lockout>> Signer::lockout() {
    for (int times = 0; times < 2; ++times) {
        try { // caught because signatures do not depend on it
            co_return co_await tpm_.lockout();
        } catch (const Error& error) {
            log::debug("reading the TPM's lockout counter: ", error.what());
        }
    }
    co_return std::nullopt;
}

asio::awaitable<Signer::PinTrial> Signer::try_pin(KeyUsePtr use, tpm::Auth pin, std::uint32_t tries_told) {
    const auto& identity = use->line()->identity;
    if (!auth_source_.needs_pin(*identity)) // and the TPM's refusal would say nothing of the key
        co_return PinTrial{protocol::PinOutcome::kept, protocol::unknown_tries, "the key has no PIN"};
    const auto attempt = co_await attempts_.take();
    const auto before = co_await lockout();
    if (before && before->active)
        co_return PinTrial{protocol::PinOutcome::lockout, 0, tpm::lockout_text(*before)};
    co_await tpm_.make_ready(identity);
    if (!pin)
        co_return PinTrial{protocol::PinOutcome::not_tried,
                           before ? before->tries_left() : protocol::unknown_tries, "no PIN was tried"};
    if (may_be_last(before) && tries_told > 1)
        co_return PinTrial{
            protocol::PinOutcome::not_tried, 1,
            before ? "the PIN was not tried: a wrong one would lock the TPM"
                   : "the PIN was not tried: the TPM does not say whether a wrong one would lock it"};
    const auto hash = ssh::info(identity->public_key.type()).hash;
    const auto result =
        co_await tpm_.sign(identity, pin, hash, ssh::digest(hash, identity->public_key.blob()));
    if (std::holds_alternative<tpm::WrongAuth>(result)) {
        auth_source_.refused(*identity);
        refusal_seen_ = true;
        const auto after = co_await lockout();
        if (!after)
            co_return PinTrial{protocol::PinOutcome::wrong, protocol::unknown_tries, "the PIN is wrong"};
        co_return PinTrial{protocol::PinOutcome::wrong, after->tries_left(), tpm::lockout_text(*after)};
    }
    if (keep_pin(*use, pin))
        co_return PinTrial{protocol::PinOutcome::kept, protocol::unknown_tries, "the PIN is right"};
    co_return PinTrial{protocol::PinOutcome::not_kept, protocol::unknown_tries,
                       "the PIN is right, and this agent keeps none"};
}

} // namespace sshtpm::agent
