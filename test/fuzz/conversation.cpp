// SPDX-License-Identifier: MIT
// A whole conversation: up to 256 messages, each behind two bytes of length, on one connection of an agent
// with a few keys and a TPM that is made up. Every message gets one reply that is a whole frame.

#include "agent/dispatcher.hpp"
#include "agent/identities.hpp"
#include "base/log.hpp"
#include "fuzz/target.hpp"
#include "prompt/prompter_client.hpp"
#include "protocol/frame.hpp"
#include "wire/reader.hpp"

#include <array>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;

namespace {

namespace asio = boost::asio;

constexpr int most_messages = 256;

/// Refuses every PIN, signs nothing rightly, and takes in every other key.
class MadeUpTpm final : public agent::TpmService {
  public:
    asio::awaitable<identity::SignResult> sign(agent::IdentityPtr, tpm::Auth auth, ssh::Hash,
                                               Bytes digest) override {
        if (auth)
            co_return tpm::WrongAuth{};
        co_return ssh::RawSignature(ssh::EcdsaSignature{.r = digest, .s = digest});
    }
    asio::awaitable<tpm::Lockout> lockout() override {
        co_return tpm::Lockout{
            .active = false, .failures = 1, .max_failures = 32, .interval = 10, .recovery = 10};
    }
    asio::awaitable<void> make_ready(agent::IdentityPtr) override { co_return; }
    asio::awaitable<void> try_loading(agent::IdentityPtr) override { co_return; }
    asio::awaitable<agent::IdentityPtr> seal(ssh::PrivateKey, std::string comment) override {
        odd_ = !odd_;
        if (odd_)
            throw Error(Errc::unsupported, "a TPM that is full");
        co_return support::an_identity("openssl-ec-p384.tpm", comment);
    }

  private:
    bool odd_ = false;
};

agent::KeyEntry restricted(agent::IdentityPtr identity) {
    agent::KeyEntry key{.identity = std::move(identity)};
    key.constraints.destinations.push_back(
        {.from = {}, .to = {.user = {}, .host = "host", .keys = {{Bytes(40), false}}}});
    return key;
}

void add_keys(agent::KeyStore& keys) {
    static const auto plain = support::an_identity("plain");
    static const auto guarded = support::an_identity("openssl-ec-p256-pin.tpm", "guarded");
    static const auto bound = support::another_identity("bound");
    keys.add({.identity = plain});
    keys.add({.identity = guarded});
    keys.add(restricted(bound));
}

/// One whole frame.
void require_reply(const agent::Reply& reply) {
    require(reply != nullptr);
    wire::Reader frame(*reply);
    require(!frame.string().empty() && frame.empty());
}

/// A wrong password makes its client wait for a tenth of a second and more.
class WrongPasswords {
  public:
    bool is_one(ByteView message, bool locked) {
        if (message.front() == protocol::SSH_AGENTC_LOCK && !locked)
            body_ = copy_of(message.subspan(1));
        return message.front() == protocol::SSH_AGENTC_UNLOCK && locked && !equal(message.subspan(1), body_);
    }

  private:
    Bytes body_; ///< of what locked the agent
};

/// The agent's end of a socket to a prompter that has ended: nobody is asked for a PIN.
UniqueFd no_prompter() {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ::close(ends[1]);
    return UniqueFd(ends[0]);
}

bool be_silent() {
    log::configure("fuzz", log::Level::nothing);
    return true;
}

} // namespace

FUZZ_TARGET(conversation) {
    [[maybe_unused]] static const bool silent = be_silent();
    asio::io_context loop(1);
    const auto stays = asio::make_work_guard(loop); // between two requests nothing waits
    MadeUpTpm tpm;
    agent::KeyStore keys;
    agent::KeyFolder folder(keys, {}, {});
    add_keys(keys);
    prompt::PrompterClient prompter(loop.get_executor(), no_prompter().value());
    agent::Dispatcher dispatcher(loop.get_executor(), keys, folder, tpm, prompter, {}, {},
                                 PasswordHash::Cost::least);
    auto client = dispatcher.new_client({.pid = ::getpid(), .uid = ::getuid()});

    ByteView rest(data, size);
    WrongPasswords wrong_passwords;
    for (int i = 0; i < most_messages && rest.size() > 2; ++i) {
        const std::size_t claimed = rest[0] * 256U + rest[1];
        const auto message = rest.subspan(2, std::min(claimed, rest.size() - 2));
        rest = rest.subspan(2 + message.size());
        if (message.empty() || wrong_passwords.is_one(message, dispatcher.locked()))
            continue;
        auto reply = dispatcher.handle_at_once(message, client);
        bool done = reply != nullptr;
        if (!done)
            asio::co_spawn(loop, dispatcher.handle(message, client),
                           [&](std::exception_ptr failure, agent::Response answer) {
                               if (failure)
                                   std::rethrow_exception(failure);
                               reply = std::move(answer.frame);
                               done = true;
                           });
        while (!done)
            loop.run_one();
        require_reply(reply);
    }
}
