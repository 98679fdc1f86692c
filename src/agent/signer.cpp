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
    const auto identity = keys_.find(request.key_blob);
    if (!identity) {
        log::debug("sign: no such key");
        co_return std::nullopt;
    }
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
    for (int refused = 0; refused < most_tries;) {
        const auto offer = co_await auth_source_.auth_for(identity, refused);
        if (!offer)
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
        if (!identity->needs_pin())
            co_return std::nullopt;
        if (!offer->from_cache)
            ++refused;
        if (!co_await may_ask_again(identity))
            co_return std::nullopt;
    }
    co_return std::nullopt;
}

/// The last try before the TPM locks all guarded keys is not spent within a request that has failed already.
asio::awaitable<bool> Signer::may_ask_again(std::shared_ptr<const identity::Identity> identity) {
    auto job = [](tpm::Device& device) { return tpm::read_lockout(device.context()); };
    const auto lockout = co_await lane_.run(std::move(job));
    log::info("the TPM allows ", lockout.tries_left(),
              " more wrong PINs before it locks the keys that have one");
    if (lockout.tries_left() > 1)
        co_return true;
    log::error("not asking for the PIN of key '", identity->comment,
               "' again: one more wrong one locks the TPM");
    co_return false;
}

} // namespace sshtpm::agent
