#include "agent/signer.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "identity/sign.hpp"
#include "ssh/digest.hpp"
#include "tpm/capability.hpp"

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr int most_tries = 3;

} // namespace

asio::awaitable<std::optional<Bytes>> Signer::sign(SignRequest request) {
    const auto found = keys_.find(request.key_blob);
    if (!found) {
        log::debug("sign: no such key");
        co_return std::nullopt;
    }
    const auto identity = keys_.refresh(found);
    if (identity != found)
        auth_source_.forget(*found); // a new file may mean a new PIN, and a wrong one costs a try
    const auto algorithm = ssh::choose_algorithm(identity->public_key.type(), request.flags);
    if (!algorithm) {
        log::info("sign: refused \"ssh-rsa\" (SHA-1) with key '", identity->comment, "'");
        co_return std::nullopt;
    }
    const auto digest = ssh::digest(algorithm->hash, request.data);
    const auto signature = co_await sign_digest(identity, algorithm->hash, digest);
    if (!signature)
        co_return std::nullopt;
    // A faulty chip or a tampered bus must neither leak the key through a wrong signature nor mislead a
    // client.
    if (!identity->verifier.verify(algorithm->hash, digest, *signature))
        throw Error(Errc::tpm, "the TPM's signature is wrong; it was not sent");
    co_return ssh::encode_signature(identity->public_key, *algorithm, *signature);
}

asio::awaitable<std::optional<ssh::RawSignature>>
Signer::sign_digest(std::shared_ptr<const identity::Identity> identity, ssh::Hash hash, Bytes digest) {
    for (Attempt attempt; attempt.refused < most_tries;) {
        attempt.tries_left = co_await tries_left(identity);
        // The last try before the TPM locks all guarded keys is not spent within a request that has failed
        // already.
        if (attempt.refused > 0 && attempt.tries_left && *attempt.tries_left <= 1) {
            log::error("not asking for the PIN of key '", identity->comment,
                       "' again: one more wrong one locks the TPM");
            co_return std::nullopt;
        }
        const auto offer = co_await auth_source_.auth_for(identity, attempt);
        if (!offer)
            co_return std::nullopt;
        // For ssh an empty answer means "no". It is tried once, because some writers of key files say "has a
        // PIN" of keys that have none, but not where tries are short.
        if (!offer->auth && offer->turn && refusal_seen_)
            co_return std::nullopt;
        // Named: GCC 12 destroys the captures of a lambda written inside a co_await expression twice.
        auto job = [identity, auth = offer->auth, hash, digest](tpm::Device& device) {
            return identity::sign(device, *identity, auth, hash, digest);
        };
        auto result = co_await lane_.run(std::move(job));
        if (auto* signature = std::get_if<ssh::RawSignature>(&result)) {
            auth_source_.taken(*identity, *offer);
            co_return std::move(*signature);
        }
        log::error("the TPM refused the PIN of key '", identity->comment, "'");
        auth_source_.refused(*identity);
        refusal_seen_ = true;
        if (!offer->from_cache)
            ++attempt.refused;
    }
    co_return std::nullopt;
}

/// Asked of the TPM only when a person is to be asked and a PIN has been refused before: the first use of a
/// key costs no command for it.
asio::awaitable<std::optional<std::uint32_t>>
Signer::tries_left(std::shared_ptr<const identity::Identity> identity) {
    if (!refusal_seen_ || !auth_source_.must_ask(*identity))
        co_return std::nullopt;
    auto job = [](tpm::Device& device) { return tpm::read_lockout(device.context()); };
    const auto lockout = co_await lane_.run(std::move(job));
    co_return lockout.tries_left();
}

} // namespace sshtpm::agent
