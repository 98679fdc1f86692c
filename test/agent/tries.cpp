// SPDX-License-Identifier: MIT
#include "agent/desk.hpp"

#include <cstdint>
#include <unistd.h>

using namespace sshtpm;
using protocol::PinOutcome;
using support::Desk;

TEST_CASE("an empty answer means no, and costs no try") {
    Desk desk(true, "\nwrong\n\nright");
    SECTION("more are left") {}
    SECTION("it is the last one") {
        desk.tpm.state.failures = 31;
    }
    SECTION("the TPM does not say") {
        desk.tpm.silent = true;
    }
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried.empty());
    CHECK_FALSE(desk.sign());  // the wrong one
    if (desk.questions() == 2) // the TPM is locked, or a person is not asked again before it is
        return;
    CHECK(desk.questions() == 3);
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong", "right"});
}

TEST_CASE("an exempt key whose file claims a PIN is tried once without one, and no empty answer is tried") {
    Desk desk(true, "\nright", tpm::DictionaryAttack::exempt);
    SECTION("the key has no PIN, against its file") {
        CHECK(desk.sign());
        CHECK(desk.sign());
        CHECK(desk.tpm.tried == std::vector<std::string>{"", ""});
        CHECK(desk.questions() == 0);
    }
    SECTION("it has one") {
        desk.tpm.guarded = true;
        CHECK_FALSE(desk.sign());
        CHECK(desk.tpm.tried == std::vector<std::string>{""});
        CHECK(desk.questions() == 1);
        CHECK(desk.sign());
        CHECK(desk.tpm.tried == std::vector<std::string>{"", "right"});
    }
}

TEST_CASE("the TPM's word on a key is kept for many keys, and not for any number of them") {
    Desk desk(false);
    CHECK(desk.sign());
    desk.tpm.state.failures = 31; // of an unknown key, a person is asked
    CHECK(desk.sign());
    CHECK(desk.questions() == 0);
    desk.tpm.state.failures = 0;
    for (std::uint16_t number = 1; number <= 1000; ++number) {
        desk.change_file(number);
        CHECK(desk.sign());
    }
    desk.change_file(0);
    desk.tpm.state.failures = 31;
    static_cast<void>(desk.sign());
    CHECK(desk.questions() == 1);
}

TEST_CASE("an answer that the TPM has just refused is not tried again, and the question is the same") {
    Desk desk(true, "wrong\nwrong\nwrong\nwrong\nwrong\nright");
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong"});
    REQUIRE(desk.questions() == 3);
    CHECK(desk.asked()[0] != desk.asked()[1]);
    CHECK(desk.asked()[1] == desk.asked()[2]);
    CHECK(desk.sign()); // nothing of it is known in the next request
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong", "wrong", "right"});
}

TEST_CASE("a known PIN that the TPM refuses is not tried again if a person gives it") {
    Desk desk(true, "old\nright");
    REQUIRE(
        desk.keys.keep_pin(*desk.entry(), std::make_shared<const Secret>(Secret::copy_of(bytes_of("old")))));
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"old", "right"});
}

TEST_CASE("askpass programs take the question for a PIN for one for a secret") {
    Desk desk(true, "wrong\nright");
    SECTION("with many tries") {}
    SECTION("with the last try") {
        desk.tpm.state.failures = 30;
        desk.tpm.state.max_failures = 32;
    }
    static_cast<void>(desk.sign());
    REQUIRE_FALSE(desk.asked().empty());
    for (const auto& question : desk.asked()) {
        INFO(question);
        // VS Code, extensions/git/src/askpass.ts: its script splits the question into words; the second one
        // is searched for "passphrase", without which it asks yes or no. It shows the words behind "key".
        CHECK(question.starts_with("Enter passphrase for key 'a key' "));
        // ssh-askpass for macOS (theseal): hidden if it ends with a colon, and has "pass" or "pin" in it
        CHECK(question.ends_with(": "));
        // OpenSSH's question for the PIN of a FIDO key (ssh-agent.c, sshconnect2.c), and ssh-pkcs11.c's
        CHECK(question.find("Enter PIN for ") != std::string::npos);
        // ksshaskpass, src/prompt.cpp: for these words it would send a stored secret
        CHECK(question.find("Enter PIN for '") == std::string::npos);
        // Questions about a host's key have these; programs that look for them ask yes or no.
        for (const auto* word :
             {"yes/no", "fingerprint", "authenticity", "continue connecting", "Verification code"})
            CHECK(question.find(word) == std::string::npos);
    }
}

TEST_CASE("the PIN of an exempt key is asked for and tried as if the TPM had no counter") {
    Desk desk(true, "wrong\nright", tpm::DictionaryAttack::exempt);
    desk.tpm.guarded = true;
    SECTION("one try is left") {
        desk.tpm.state.failures = 31;
    }
    SECTION("the TPM is locked") {
        desk.tpm.state.failures = 32;
        desk.tpm.state.active = true;
    }
    SECTION("the TPM does not say") {
        desk.tpm.silent = true;
    }
    const auto looked = desk.try_pin("");
    CHECK(looked.outcome == PinOutcome::not_tried);
    CHECK(looked.tries_left == protocol::unknown_tries);
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"", "wrong", "right"});
    for (const auto& question : desk.asked())
        for (const auto* word : {"try", "tries", "TRY", "locks"})
            CHECK(question.find(word) == std::string::npos);
    CHECK(desk.try_pin("right").outcome == PinOutcome::kept);
    const auto wrong = desk.try_pin("wrong");
    CHECK(wrong.outcome == PinOutcome::wrong);
    CHECK(wrong.tries_left == protocol::unknown_tries);
    CHECK(wrong.text == "the TPM does not count wrong PINs of this key");
}

TEST_CASE("tries that go while a person types: the last one is told before it is spent") {
    Desk desk(true, "wrong\nright");
    desk.tpm.state.failures = 29; // three are left
    desk.tpm.meanwhile = [&, spent = false]() mutable {
        if (desk.questions() == 1 && !std::exchange(spent, true))
            desk.tpm.state.failures = 31;
    };
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"right"});
    REQUIRE(desk.questions() == 2);
    CHECK(desk.asked()[0].find("3 tries") != std::string::npos);
    CHECK(desk.asked()[1].find("LAST TRY") != std::string::npos);
}

TEST_CASE("a TPM that does not say how many tries are left: that it may be the last one is told") {
    Desk desk(true, "wrong\nright");
    SECTION("from the beginning") {
        desk.tpm.silent = true;
        CHECK(desk.sign());
        CHECK(desk.tpm.tried == std::vector<std::string>{"wrong", "right"});
    }
    SECTION("while a person types") {
        desk.tpm.meanwhile = [&] { desk.tpm.silent = desk.questions() > 0; };
        CHECK(desk.sign());
        CHECK(desk.tpm.tried == std::vector<std::string>{"right"});
        CHECK(desk.asked()[0].find("LAST TRY") == std::string::npos);
    }
    REQUIRE(desk.questions() == 2);
    CHECK(desk.asked()[1].find("may be the LAST TRY") != std::string::npos);
}

TEST_CASE("a TPM whose counter is read at the second attempt has said what it is") {
    Desk desk;
    desk.tpm.meanwhile = [&, readings = 0]() mutable { desk.tpm.silent = ++readings % 2 == 1; };
    CHECK(desk.sign());
    REQUIRE(desk.questions() == 1);
    CHECK(desk.asked()[0].find("32 tries") != std::string::npos);
}

TEST_CASE("a TPM that locks, or comes to its last try, while a person types again takes no more") {
    Desk desk(true, "wrong\nright\nright");
    desk.tpm.meanwhile = [&] {
        if (desk.questions() == 2) {
            desk.tpm.state.failures = 31;
            desk.tpm.state.active = desk.tpm.state.max_failures == 31;
        }
    };
    SECTION("the last try") {}
    SECTION("lockout") {
        desk.tpm.state.max_failures = 31;
    }
    CHECK_FALSE(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"wrong"});
    CHECK(desk.questions() == 2);
}

TEST_CASE("a client's PIN is not the last try unless the client knows that it is") {
    Desk desk;
    desk.tpm.state.failures = 31;
    for (const auto told : {protocol::unknown_tries, std::uint32_t{2}}) {
        const auto trial = desk.try_pin("right", told);
        CHECK(trial.outcome == PinOutcome::not_tried);
        CHECK(trial.tries_left == 1);
    }
    CHECK(desk.tpm.tried.empty());
    CHECK(desk.try_pin("right", 1).outcome == PinOutcome::kept);
}

TEST_CASE("a client's PIN is tried, where the TPM does not say what is left, once the client knows") {
    Desk desk;
    desk.tpm.silent = true;
    CHECK(desk.try_pin("", protocol::unknown_tries).tries_left == protocol::unknown_tries);
    const auto trial = desk.try_pin("right", protocol::unknown_tries);
    CHECK(trial.outcome == PinOutcome::not_tried);
    CHECK(trial.tries_left == 1);
    CHECK(desk.tpm.tried.empty());
    CHECK(desk.try_pin("right", 1).outcome == PinOutcome::kept);
}

TEST_CASE("that a key has no PIN, as its file says, is not tried where it may be the last try") {
    Desk desk(false);
    desk.tpm.guarded = true;
    SECTION("it is the last one") {
        desk.tpm.state.failures = 31;
    }
    SECTION("the TPM does not say") {
        desk.tpm.silent = true;
    }
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"right"});
    CHECK(desk.knows());
    CHECK(desk.sign());
    CHECK(desk.questions() == 1);
}

TEST_CASE("a key that has a PIN against its file costs one try, and the last one is told") {
    Desk desk(false);
    desk.tpm.guarded = true;
    desk.tpm.state.failures = 30; // two are left
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"", "right"});
    REQUIRE(desk.questions() == 1);
    CHECK(desk.asked()[0].find("LAST TRY") != std::string::npos);
}

TEST_CASE("a key that the TPM has signed with without a PIN goes on signing, whatever tries are left") {
    Desk desk(false);
    CHECK(desk.sign());
    desk.tpm.state.failures = 31;
    std::size_t readings = 0;
    desk.tpm.meanwhile = [&] { ++readings; };
    CHECK(desk.sign());
    CHECK(readings == 1); // that of the signature itself
    CHECK(desk.questions() == 0);
}

TEST_CASE("no answer in time is a no, and the time is two minutes") {
    using namespace std::chrono_literals;
    CHECK(TimeLimits().answer == 120s);
    const Script silence{"exec sleep 600"};
    const support::Variable askpass("SSH_ASKPASS", silence.path().c_str()),
        require("SSH_ASKPASS_REQUIRE", "force");
    const auto signed_message = support::p256_signature();
    boost::asio::io_context loop(1);
    agent::KeyStore keys;
    support::ScriptedTpm tpm(signed_message.signature);
    support::PromptPair person(loop.get_executor());
    agent::PinBroker broker(loop.get_executor(), keys, tpm, person.client, 50ms);
    const agent::Client client{.peer = {.pid = ::getpid(), .uid = ::getuid()},
                               .upstreams = agent::Upstreams({})};
    const agent::Requester requester(client, signed_message.message);
    std::optional<prompt::Confirmation> confirmed;
    boost::asio::co_spawn(loop, broker.confirm(support::identity_of(signed_message.key, true), requester),
                          [&](const std::exception_ptr&, prompt::Confirmation outcome) {
                              confirmed = outcome;
                              person.client.close();
                          });
    loop.run();
    CHECK(confirmed == prompt::Confirmation::unanswered);
}
