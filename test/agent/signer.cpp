// SPDX-License-Identifier: MIT
#include "agent/desk.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using protocol::PinOutcome;
using support::Desk;

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

TEST_CASE("a known PIN that the TPM refuses is forgotten, and a person is asked") {
    Desk desk(true, "right");
    REQUIRE(
        desk.keys.keep_pin(*desk.entry(), std::make_shared<const Secret>(Secret::copy_of(bytes_of("old")))));
    CHECK(desk.sign());
    CHECK(desk.tpm.tried == std::vector<std::string>{"old", "right"});
    CHECK(desk.questions() == 1);
}

TEST_CASE("a key that goes while the question is prepared ends the request without a question") {
    Desk desk;
    desk.tpm.meanwhile = [&] { desk.keys.clear(); };
    CHECK_FALSE(desk.sign());
    CHECK(desk.questions() == 0);
    CHECK(desk.tpm.tried.empty());
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
