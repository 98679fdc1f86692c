#include "agent/signer.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"
#include "protocol/permission.hpp"
#include "ssh/digest.hpp"

namespace sshtpm::agent {

asio::awaitable<std::optional<Bytes>> Signer::sign(KeyUsePtr use, protocol::SignRequest request,
                                                   const Client& client) {
    auto signature = co_await while_in_use(use, sign_in_use(use, std::move(request), client));
    if (use->ended())
        log::info("sign: refused: meanwhile the agent was locked, or ", use->entry()->identity->name(),
                  " was removed or given other constraints");
    co_return std::move(signature);
}

asio::awaitable<std::optional<Bytes>> Signer::sign_in_use(KeyUsePtr use, protocol::SignRequest request,
                                                          const Client& client) {
    const auto& entry = *use->entry();
    if (!protocol::may_sign(entry.constraints, client.sessions, request.key_blob, request.data)) {
        log::info("sign: refused by the destination constraints of ", entry.identity->name());
        co_return std::nullopt;
    }
    const auto identity = entry.identity; // a copy: the entry may get another one
    const auto algorithm = ssh::choose_algorithm(identity->public_key.type(), request.flags);
    if (!algorithm) {
        log::info("sign: refused \"ssh-rsa\" (SHA-1) with ", identity->name());
        co_return std::nullopt;
    }
    identity::require_hash(*identity, algorithm->hash); // before a person is asked
    const Requester requester(client, request.data);
    if (entry.constraints.confirm) {
        const auto outcome = co_await broker_.confirm(identity, requester);
        log::info("sign: ", prompt::in_words(outcome), " the use of ", identity->name());
        if (outcome != prompt::Confirmation::yes)
            co_return std::nullopt;
    }
    const auto digest = ssh::digest(algorithm->hash, request.data);
    const PinBroker::Attempt attempt = [&](tpm::Auth auth) {
        return tpm_.sign(identity, std::move(auth), algorithm->hash, digest);
    };
    const auto signature = co_await broker_.with_auth(use, requester, attempt);
    if (!signature)
        co_return std::nullopt;
    co_return ssh::encode_signature(identity->public_key, *algorithm, *signature);
}

} // namespace sshtpm::agent
