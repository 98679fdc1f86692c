#include "agent/desk.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using protocol::PinOutcome;
using support::Desk;

TEST_CASE("a key without a PIN signs, and nobody is asked") {
    Desk desk(false);
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{""});
    CHECK(desk.questions() == 0);
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

TEST_CASE("a key that goes while the question is prepared ends the request without a question") {
    Desk desk;
    desk.tpm.meanwhile = [&] { desk.state.remove_all(); };
    CHECK_FALSE(desk.sign());
    CHECK(desk.questions() == 0);
    CHECK(desk.tpm.tried.empty());
}

TEST_CASE("no signature and no PIN is left of a key that goes while the TPM works") {
    Desk desk;
    desk.tpm.meanwhile = [&, signing = false]() mutable {
        if (!desk.tpm.tried.empty() && !std::exchange(signing, true))
            desk.state.remove_all();
    };
    CHECK_FALSE(desk.sign());
    CHECK_FALSE(desk.knows());
}

TEST_CASE("no signature is given once the agent was locked, also when it is unlocked already") {
    Desk desk(false);
    desk.tpm.meanwhile = [&] {
        if (!desk.tpm.tried.empty())
            desk.state.keys.end_uses(); // as a lock does
    };
    CHECK_FALSE(desk.sign());
    desk.tpm.meanwhile = {};
    CHECK(desk.sign());
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
