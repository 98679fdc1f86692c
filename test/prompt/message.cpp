// SPDX-License-Identifier: MIT
#include "prompt/message.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

#include <cstdint>
#include <string>

using namespace sshtpm;
using namespace prompt;
using Kind = Request::Kind;

namespace {

constexpr std::uint32_t number = 0x01020304;

Bytes bytes_of_reply(Result result) {
    const auto message = message_of(Reply{.number = number, .result = std::move(result)});
    return {message.view().begin(), message.view().end()};
}

} // namespace

TEST_CASE("a request has its number, its kind and the question") {
    CHECK(message_of(Request{number, Kind::secret, "PIN: "}) == support::unhex("010203040150494e3a20"));
    CHECK(message_of(Request{number, Kind::confirm, "?"}) == support::unhex("01020304023f"));
    CHECK(message_of(Request{number, Kind::who}) == support::unhex("0102030403"));
    CHECK(message_of(Request{number, Kind::suspend}) == support::unhex("0102030404"));
    CHECK(message_of(Request{number, Kind::cancel}) == support::unhex("0102030405"));
    const auto request = parse_request(support::unhex("010203040150494e3a20"));
    CHECK(request.number == number);
    CHECK(request.kind == Kind::secret);
    CHECK(request.question == "PIN: ");
}

TEST_CASE("a request of another shape is refused") {
    for (const auto* hex : {"", "01020304", "0102030400", "0102030406", "01020304ff", "010203040300",
                            "010203040561", "01020304014100", "010203040200"}) {
        INFO(hex);
        CHECK_THROWS_AS(parse_request(support::unhex(hex)), Error);
    }
    const Request longest{number, Kind::secret, std::string(max_question, 'a')},
        too_long{number, Kind::secret, std::string(max_question + 1, 'a')};
    auto message = message_of(longest);
    CHECK(parse_request(message).question == longest.question);
    message.push_back('a');
    CHECK_THROWS_AS(parse_request(message), Error);
    CHECK_THROWS_AS(message_of(too_long), Error);
    CHECK_THROWS_AS(message_of(Request{number, Kind::confirm, std::string("a\0b", 3)}), Error);
    CHECK_THROWS_AS(message_of(Request{number, Kind::who, "a"}), Error);
    for (const char* question :
         {"", "-", "--gtk-module=/x", "Enter \x1b[2J: ", "Enter \xc2\x9b: ", "Enter\t: "})
        CHECK_THROWS_AS(message_of(Request{number, Kind::secret, question}), Error);
}

TEST_CASE("a reply has the number of its request, the kind of result and the result") {
    CHECK(bytes_of_reply(Secret::copy_of(bytes_of("1234"))) == support::unhex("010203040031323334"));
    CHECK(bytes_of_reply(Unanswered::nobody) == support::unhex("010203040102"));
    CHECK(bytes_of_reply(Confirmation::yes) == support::unhex("010203040202"));
    CHECK(bytes_of_reply(Asker::terminal) == support::unhex("010203040301"));
    CHECK(bytes_of_reply(Suspended{}) == support::unhex("0102030404"));
    const auto reply = parse_reply(support::unhex("010203040031323334"));
    CHECK(reply.number == number);
    CHECK(text_of(std::get<Secret>(reply.result).view()) == "1234");
    CHECK(std::get<Secret>(parse_reply(support::unhex("0102030400")).result).empty());
    CHECK(std::get<Confirmation>(parse_reply(support::unhex("010203040202")).result) == Confirmation::yes);
}

TEST_CASE("a reply of another shape is refused") {
    for (const auto* hex :
         {"", "01020304", "0102030401", "010203040105", "01020304010000", "0102030402", "010203040205",
          "0102030403", "010203040304", "010203040400", "0102030405", "01020304ff"}) {
        INFO(hex);
        CHECK_THROWS_AS(parse_reply(support::unhex(hex)), Error);
    }
    auto message = bytes_of_reply(Secret::copy_of(Bytes(max_answer, 'a')));
    CHECK(std::get<Secret>(parse_reply(message).result).size() == max_answer);
    message.push_back('a');
    CHECK_THROWS_AS(parse_reply(message), Error);
}
