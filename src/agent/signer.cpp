// SPDX-License-Identifier: MIT
#include "agent/signer.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "protocol/permission.hpp"
#include "ssh/digest.hpp"
#include "wire/reader.hpp"

#include <cstdint>

namespace sshtpm::agent {

namespace {

/// True for the data that `ssh-add -T` has signed: 1024 random bytes. Until 9.2 it asks for it without a
/// SHA-2 flag, and accepts every algorithm of RSA. Other programs sign messages, which begin with a string:
/// random bytes hardly begin with a length that fits.
bool is_test_of_ssh_add(ByteView data) {
    constexpr std::size_t size = 1024;
    return data.size() == size && wire::Reader(data).uint32() > size - sizeof(std::uint32_t);
}

Error sha1_refused(const identity::Identity& identity, const Requester& requester) {
    return {
        Errc::refused,
        "refused a signature with SHA-1 (ssh-rsa): " + requester.program() + " asks for it with " +
            identity.name(),
        "a newer version of that program may ask for SHA-2; an ECDSA key works with every version (RSA in "
        "ssh-tpm-agent(1))"};
}

} // namespace

std::optional<ssh::SignatureAlgorithm> algorithm_for(ssh::KeyType type,
                                                     const protocol::SignRequest& request) {
    const auto algorithm = ssh::choose_algorithm(type, request.flags);
    if (!algorithm && is_test_of_ssh_add(request.data))
        return ssh::choose_algorithm(type, ssh::SSH_AGENT_RSA_SHA2_256);
    return algorithm;
}

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
        throw Refused("the destination constraints of " + entry.identity->name() + " refuse this signature");
    }
    const auto identity = entry.identity; // a copy: the entry may get another one
    const Requester requester(client, request.data);
    const auto algorithm = algorithm_for(identity->public_key.type(), request);
    if (!algorithm)
        throw sha1_refused(*identity, requester);
    identity::require_hash(*identity, algorithm->hash); // before a person is asked
    if (entry.constraints.confirm) {
        const auto outcome = co_await broker_.confirm(identity, requester);
        log::info("sign: ", prompt::in_words(outcome), " the use of ", identity->name());
        if (outcome != prompt::Confirmation::yes)
            throw Refused(std::string(prompt::in_words(outcome)) + " the use of " + identity->name());
    }
    const auto digest = ssh::digest(algorithm->hash, request.data);
    const PinBroker::Attempt attempt = [&](tpm::Auth auth) {
        return tpm_.sign(identity, std::move(auth), algorithm->hash, digest);
    };
    const auto signature = co_await broker_.with_auth(use, requester, attempt);
    co_return ssh::encode_signature(identity->public_key, *algorithm, signature);
}

} // namespace sshtpm::agent
