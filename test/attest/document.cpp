// SPDX-License-Identifier: MIT
#include "attest/document.hpp"

#include "support/catch.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;

TEST_CASE("a time has one form") {
    const auto time = attest::parse_time("2026-11-28T08:15:30Z");
    REQUIRE(time);
    CHECK(time->time_since_epoch().count() == 1795853730);
    CHECK(attest::time_text(*time) == "2026-11-28T08:15:30Z");
    for (const char* const other :
         {"", "2026-11-28T08:15:30", "2026-11-28 08:15:30Z", "2026-11-28T08:15:30z", "2026-11-28T08:15:30.0Z",
          "2026-11-28T08:15:30+00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-28T24:00:00Z",
          "2026-11-28T08:60:00Z", "2026-11-28T08:15:60Z", "+026-11-28T08:15:30Z"})
        CHECK_FALSE(attest::parse_time(other));
}

TEST_CASE("a nonce is short and printable ASCII") {
    attest::require_nonce("");
    attest::require_nonce(std::string(128, '~'));
    for (const auto& other :
         {std::string(129, 'x'), std::string("a\nb"), std::string("\x7f"), std::string("\xc3\xa9")})
        CHECK_THROWS_AS(attest::require_nonce(other), Error);
}

TEST_CASE("what is not a document is refused with the reason") {
    const auto refusal = [](std::string_view text) {
        return support::complaint([&] { attest::Request::parse(text); });
    };
    CHECK(refusal("") == "not a JSON object");
    CHECK(refusal("[]") == "not a JSON object");
    CHECK(refusal("{}") == "the member \"format\" is missing");
    CHECK(refusal("{\"format\":\"ssh-tpm-attestation-2\"}") == "the format is not ssh-tpm-attestation-1");
    CHECK(refusal("{\"format\":7}") == "\"format\" is not a string");
    CHECK(refusal(std::string(attest::max_request + 1, ' ')) == "a document of more than 64 KiB");
    CHECK(refusal(std::string(attest::max_request, '[')) == "not a JSON object");
    CHECK(support::complaint([] { attest::Sealed::parse("{}"); }) == "the member \"format\" is missing");
}
