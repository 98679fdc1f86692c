#include "agent/signer.hpp"

#include "identity/convert.hpp"
#include "prompt/script.hpp"
#include "ssh/digest.hpp"
#include "ssh/vectors.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/refusal.hpp"
#include "support/variable.hpp"

#include <fstream>
#include <iterator>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using protocol::PinOutcome;

namespace {

namespace asio = boost::asio;

/// A message that OpenSSL has signed with a P-256 key of the test data.
struct Signed {
    ssh::PublicKey key;
    Bytes message;
    ssh::EcdsaSignature signature;
};

Signed p256_signature() {
    for (const auto& line : vectors::lines("openssl-signatures.txt")) {
        const auto words = vectors::words(line);
        const auto key = vectors::key(words.at(0));
        if (key.type() == ssh::KeyType::ecdsa_p256 && words.at(1) == "sha256")
            return {
                key, support::unhex(words.at(2)), {support::unhex(words.at(3)), support::unhex(words.at(4))}};
    }
    throw std::out_of_range("no P-256 signature in the test data");
}

agent::IdentityPtr identity_of(const ssh::PublicKey& key, bool has_pin) {
    keyfile::KeyFile file;
    file.empty_auth = !has_pin;
    file.public_area = identity::to_public_area(key, tpm::DictionaryAttack::guarded);
    return std::make_shared<const identity::Identity>(identity::make_identity(std::move(file), "a key"));
}

std::string text_of_auth(const tpm::Auth& auth) {
    return auth ? std::string(text_of(auth->view())) : std::string();
}

/// A TPM whose key has the PIN "right"; an empty one is no auth value.
class ScriptedTpm final : public agent::TpmService {
  public:
    explicit ScriptedTpm(ssh::EcdsaSignature signature) : answer(std::move(signature)) {}

    asio::awaitable<identity::SignResult> sign(agent::IdentityPtr, tpm::Auth auth, ssh::Hash,
                                               Bytes) override {
        tried.push_back(text_of_auth(auth));
        if (meanwhile)
            meanwhile();
        if (!tried.back().empty() && tried.back() != "right") {
            ++state.failures;
            co_return tpm::WrongAuth{};
        }
        co_return ssh::RawSignature(answer);
    }
    asio::awaitable<tpm::Lockout> lockout() override {
        if (meanwhile)
            meanwhile();
        if (silent)
            throw Error(Errc::tpm, "no word of it");
        co_return state;
    }
    asio::awaitable<void> make_ready(agent::IdentityPtr) override {
        if (unready)
            throw Error(Errc::refused, "not the known parent");
        co_return;
    }
    asio::awaitable<agent::IdentityPtr> seal(ssh::PrivateKey, std::string) override {
        throw Error(Errc::unsupported, "not in this test");
    }

    ssh::EcdsaSignature answer;
    tpm::Lockout state{.active = false, .failures = 0, .max_failures = 32, .interval = 10, .recovery = 10};
    bool unready = false;
    bool silent = false; ///< of the lockout
    std::vector<std::string> tried;
    std::function<void()> meanwhile; ///< happens while the TPM works
};

/// An agent with one key, and a person who answers with the lines of `answers`, one for each question.
class Desk {
  public:
    explicit Desk(bool has_pin = true, const std::string& answers = "right")
        : script_("echo >> \"$0.asked\"\nsed -n \"$(wc -l < \"$0.asked\")p\" <<'END'\n" + answers + "\nEND"),
          askpass_("SSH_ASKPASS", script_.path().c_str()), require_("SSH_ASKPASS_REQUIRE", "force") {
        state.keys.add({.identity = identity_of(signed_.key, has_pin)});
    }

    agent::HeldKeyPtr line() { return state.keys.find_line(signed_.key.blob()); }

    std::optional<Bytes> sign() {
        const protocol::SignRequest request{.key_blob =
                                                Bytes(signed_.key.blob().begin(), signed_.key.blob().end()),
                                            .data = signed_.message,
                                            .flags = 0};
        return run(signer.sign(line(), request, client_));
    }
    agent::Signer::PinTrial try_pin(std::string_view pin) {
        return run(signer.try_pin(
            line(), pin.empty() ? nullptr : std::make_shared<const Secret>(Secret::copy_of(bytes_of(pin)))));
    }
    void lock() { REQUIRE(run(state.lock.lock(Secret::copy_of(bytes_of("password"))))); }
    bool knows() const { return state.pins.knows(signed_.key); }

    std::size_t questions() const {
        std::ifstream asked(script_.path() + ".asked");
        return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(asked), {}, '\n'));
    }

  private:
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
    support::Variable askpass_, require_;
    agent::Client client_{.peer = {.pid = ::getpid(), .uid = ::getuid()}, .upstreams = agent::Upstreams({})};

  public:
    agent::State state{loop_.get_executor(), std::nullopt, agent::PinLifetime{}};
    ScriptedTpm tpm{signed_.signature};
    agent::Signer signer{loop_.get_executor(), state, tpm};
};

} // namespace

TEST_CASE("a key without a PIN signs, and nobody is asked") {
    Desk desk(false);
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{""});
    CHECK(desk.questions() == 0);
}

TEST_CASE("a signature that is not the key's is not sent") {
    Desk desk;
    desk.tpm.answer.r.back() ^= 1;
    CHECK(support::refusal([&] { desk.sign(); }) == Errc::tpm);
}

TEST_CASE("nobody is asked for the PIN of a key that cannot be loaded, and none is tried") {
    Desk desk;
    desk.tpm.unready = true;
    CHECK(support::refusal([&] { desk.sign(); }) == Errc::refused);
    CHECK(support::refusal([&] { desk.try_pin(""); }) == Errc::refused);
    CHECK(support::refusal([&] { desk.try_pin("right"); }) == Errc::refused);
    CHECK(desk.questions() == 0);
    CHECK(desk.tpm.tried.empty());
    desk.tpm.unready = false;
    CHECK(desk.sign());
    CHECK(desk.questions() == 1);
    desk.tpm.unready = true; // the PIN is known: the signature itself will tell
    CHECK(desk.sign());
}

TEST_CASE("a PIN is asked for once, and then known") {
    Desk desk;
    CHECK(desk.sign());
    CHECK(desk.knows());
    CHECK(desk.sign());
    CHECK(desk.questions() == 1);
    CHECK(desk.tpm.tried == std::vector<std::string>{"right", "right"});
}

TEST_CASE("three wrong PINs end the request, and none of them is kept") {
    Desk desk(true, "wrong 1\nwrong 2\nwrong 3\nright");
    CHECK_FALSE(desk.sign());
    CHECK_FALSE(desk.knows());
    CHECK(desk.questions() == 3);
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong 1", "wrong 2", "wrong 3"});
    CHECK(desk.sign()); // the next one asks anew
}

TEST_CASE("a known PIN that the TPM refuses is forgotten, and a person is asked") {
    Desk desk(true, "right");
    REQUIRE(desk.state.pins.remember(desk.line()->identity->public_key,
                                     std::make_shared<const Secret>(Secret::copy_of(bytes_of("old")))));
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"old", "right"});
    CHECK(desk.questions() == 1);
}

TEST_CASE("the last try before lockout is asked for, but not within a request that has failed") {
    Desk desk(true, "wrong\nright");
    desk.tpm.state.failures = 30; // two are left
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong"});
    CHECK(desk.sign()); // by a person who read "LAST TRY"
    CHECK(desk.questions() == 2);
}

TEST_CASE("in lockout nobody is asked for a PIN") {
    Desk desk;
    desk.tpm.state.active = true;
    CHECK_FALSE(desk.sign());
    CHECK(desk.questions() == 0);
    CHECK(desk.tpm.tried.empty());
}

TEST_CASE("an empty answer is tried once at most: where a PIN was refused it means no") {
    Desk desk(true, "wrong\n\nright");
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong"});
    CHECK(desk.questions() == 2);
}

TEST_CASE("an empty answer is not tried where it may be the last try") {
    Desk desk(true, "\n\nright");
    SECTION("it is the last one") {
        desk.tpm.state.failures = 31;
    }
    SECTION("the TPM does not say") {
        desk.tpm.silent = true;
    }
    CHECK_FALSE(desk.sign());
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried.empty());
    CHECK(desk.sign());
    CHECK(desk.questions() == 3);
}

TEST_CASE("a key that goes while the question is prepared ends the request without a question") {
    Desk desk;
    desk.tpm.meanwhile = [&] { desk.state.remove_all(); };
    CHECK_FALSE(desk.sign());
    CHECK(desk.questions() == 0);
    CHECK(desk.tpm.tried.empty());
}

TEST_CASE("a locked agent asks nobody and signs nothing") {
    Desk desk(false);
    desk.lock();
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried.empty());
}

TEST_CASE("a key that is removed while the TPM works leaves no PIN behind") {
    Desk desk;
    desk.tpm.meanwhile = [&, signing = false]() mutable {
        if (!desk.tpm.tried.empty() && !std::exchange(signing, true))
            desk.state.remove_all();
    };
    CHECK(desk.sign());
    CHECK_FALSE(desk.knows());
}

TEST_CASE("the outcome of a PIN that a client gives: kept, wrong, lockout, or not tried") {
    Desk desk;
    CHECK(desk.try_pin("right").outcome == PinOutcome::kept);
    CHECK(desk.knows());

    const auto wrong = desk.try_pin("wrong");
    CHECK(wrong.outcome == PinOutcome::wrong);
    CHECK(wrong.tries_left == 31);
    CHECK_FALSE(desk.knows());

    CHECK(desk.try_pin("").outcome == PinOutcome::not_tried);
    desk.tpm.state.active = true;
    CHECK(desk.try_pin("right").outcome == PinOutcome::lockout);
    CHECK(desk.tpm.tried == std::vector<std::string>{"right", "wrong"});
    CHECK(desk.questions() == 0);
}

TEST_CASE("a PIN given for a key that has none is not tried") {
    Desk desk(false);
    CHECK(desk.try_pin("wrong").outcome == PinOutcome::kept);
    CHECK(desk.tpm.tried.empty());
    CHECK(desk.sign());
}
