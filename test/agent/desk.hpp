// SPDX-License-Identifier: MIT
#pragma once
// A signer between a TPM that follows a script and a person who does.

#include "agent/signer.hpp"
#include "identity/convert.hpp"
#include "prompt/pair.hpp"
#include "prompt/script.hpp"
#include "ssh/digest.hpp"
#include "ssh/vectors.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/variable.hpp"

#include <cstdint>
#include <fstream>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace support {

using namespace sshtpm;
namespace asio = boost::asio;

/// A message that OpenSSL has signed with a P-256 key of the test data.
struct Signed {
    ssh::PublicKey key;
    Bytes message;
    ssh::EcdsaSignature signature;
};

inline Signed p256_signature() {
    for (const auto& line : vectors::lines("openssl-signatures.txt")) {
        const auto words = vectors::words(line);
        const auto key = vectors::key(words.at(0));
        if (key.type() == ssh::KeyType::ecdsa_p256 && words.at(1) == "sha256")
            return {key, unhex(words.at(2)), {unhex(words.at(3)), unhex(words.at(4))}};
    }
    throw std::out_of_range("no P-256 signature in the test data");
}

/// @param number of the file's private area: the same key can have several files
inline agent::IdentityPtr identity_of(const ssh::PublicKey& key, bool has_pin,
                                      tpm::DictionaryAttack protection = tpm::DictionaryAttack::guarded,
                                      std::uint16_t number = 0) {
    keyfile::KeyFile file;
    file.private_area.size = 2;
    file.private_area.buffer[0] = static_cast<std::uint8_t>(number >> 8U);
    file.private_area.buffer[1] = static_cast<std::uint8_t>(number);
    file.empty_auth = !has_pin;
    file.public_area = identity::to_public_area(key, protection, tpm::RsaUse::sign);
    return std::make_shared<const identity::Identity>(identity::make_identity(std::move(file), "a key"));
}

inline std::string text_of_auth(const tpm::Auth& auth) {
    return auth ? std::string(text_of(auth->view())) : std::string();
}

/// A TPM whose key has the PIN "right", and, unless it is guarded, none as well.
class ScriptedTpm final : public agent::TpmService {
  public:
    explicit ScriptedTpm(ssh::EcdsaSignature signature) : answer(std::move(signature)) {}

    asio::awaitable<identity::SignResult> sign(agent::IdentityPtr, tpm::Auth auth, ssh::Hash,
                                               Bytes) override {
        tried.push_back(text_of_auth(auth));
        if (meanwhile)
            meanwhile();
        if (tried.back() != "right" && (guarded || !tried.back().empty())) {
            ++state.failures;
            co_return tpm::WrongAuth{};
        }
        co_return ssh::RawSignature(answer);
    }
    asio::awaitable<tpm::Lockout> lockout() override {
        if (meanwhile)
            meanwhile();
        co_await pause();
        if (silent)
            throw Error(Errc::tpm, "no word of it");
        co_return state;
    }
    asio::awaitable<void> make_ready(agent::IdentityPtr) override {
        if (unready)
            throw Error(Errc::refused, "not the known parent");
        co_return;
    }
    asio::awaitable<void> try_loading(agent::IdentityPtr identity) override { return make_ready(identity); }
    asio::awaitable<agent::IdentityPtr> seal(ssh::PrivateKey, std::string) override {
        throw Error(Errc::unsupported, "not in this test");
    }

  private:
    /// An answer of a real TPM comes through the loop: what has ended meanwhile is known by then.
    static asio::awaitable<void> pause() {
        const auto loop = co_await asio::this_coro::executor;
        for (int i = 0; i < 3; ++i)
            co_await asio::post(loop, asio::use_awaitable);
    }

  public:
    ssh::EcdsaSignature answer;
    tpm::Lockout state{.active = false, .failures = 0, .max_failures = 32, .interval = 10, .recovery = 10};
    bool unready = false;
    bool silent = false; ///< of the lockout
    bool guarded = false;
    std::vector<std::string> tried;
    std::function<void()> meanwhile; ///< happens while the TPM works
};

/// An agent with one key, and a person who answers with the lines of `answers`, one for each question.
class Desk {
  public:
    explicit Desk(bool has_pin = true, const std::string& answers = "right",
                  tpm::DictionaryAttack protection = tpm::DictionaryAttack::guarded)
        : script_("{ printf %s \"$1\" | tr '\\n' ' '; echo; } >> \"$0.asked\"\n"
                  "sed -n \"$(wc -l < \"$0.asked\")p\" <<'END'\n" +
                  answers + "\nEND"),
          askpass_("SSH_ASKPASS", script_.path().c_str()), require_("SSH_ASKPASS_REQUIRE", "force") {
        keys.add({.identity = identity_of(signed_.key, has_pin, protection)});
    }

    agent::KeyEntryPtr entry() { return keys.find_entry(signed_.key.blob()); }

    /// Puts another file of the key, without a PIN, in the place of the present one.
    void change_file(std::uint16_t number) {
        keys.add({.identity = identity_of(signed_.key, false, tpm::DictionaryAttack::guarded, number)});
    }

    /// Nothing if it is refused.
    std::optional<Bytes> sign() {
        const protocol::SignRequest request{.key_blob =
                                                Bytes(signed_.key.blob().begin(), signed_.key.blob().end()),
                                            .data = signed_.message,
                                            .flags = 0};
        try { // caught because tests expect it
            return run(signer.sign(use(), request, client_));
        } catch (const agent::Refused&) {
            return std::nullopt;
        }
    }
    agent::PinBroker::PinTrial try_pin(std::string_view pin, std::uint32_t told = protocol::unknown_tries) {
        return run(broker.try_given_pin(
            use(), pin.empty() ? nullptr : std::make_shared<const Secret>(Secret::copy_of(bytes_of(pin))),
            told));
    }
    bool knows() { return keys.use_pin(*entry()).has_value(); }

    /// Each on one line.
    std::vector<std::string> asked() const {
        std::ifstream file(script_.path() + ".asked");
        std::vector<std::string> out;
        for (std::string line; std::getline(file, line);)
            out.push_back(std::move(line));
        return out;
    }
    std::size_t questions() const { return asked().size(); }

  private:
    agent::KeyUsePtr use() { return keys.use(loop_.get_executor(), entry(), signed_.key.blob()); }

    template <class Result>
    Result run(asio::awaitable<Result> story) {
        std::exception_ptr failure;
        std::optional<Result> result;
        asio::co_spawn(loop_, std::move(story), [&](std::exception_ptr thrown, Result value) {
            failure = thrown;
            result.emplace(std::move(value));
        });
        loop_.restart();
        while (!result)
            loop_.run_one();
        if (failure)
            std::rethrow_exception(failure);
        return std::move(*result);
    }

    asio::io_context loop_{1};
    Signed signed_ = p256_signature();
    Script script_;
    Variable askpass_, require_;
    agent::Client client_{.peer = {.pid = ::getpid(), .uid = ::getuid()}, .upstreams = agent::Upstreams({})};

  public:
    agent::KeyStore keys;
    ScriptedTpm tpm{signed_.signature};
    PromptPair questions_to_person{loop_.get_executor()};
    agent::PinBroker broker{loop_.get_executor(), keys, tpm, questions_to_person.client};
    agent::Signer signer{broker, tpm};
};

} // namespace support
