// SPDX-License-Identifier: MIT
#include "attest/pcrs.hpp"

#include "support/catch.hpp"
#include "support/refusal.hpp"

#include <string>

using namespace sshtpm;
using attest::PcrSelection;

TEST_CASE("a list of PCRs has numbers, ranges and a bank") {
    CHECK(PcrSelection::parse("7").text() == "sha256:7");
    CHECK(PcrSelection::parse("sha256:7").text() == "sha256:7");
    CHECK(PcrSelection::parse("sha384:11,0-2,1,23").text() == "sha384:0,1,2,11,23");
    CHECK(attest::usual_pcrs().text() == "sha256:0,1,2,3,4,5,6,7,8,9,11,12");
    for (const char* const other :
         {"", ":", "sha256:", "sha256", "sha1:0", ":0", "24", "-1", "0-", "2-1", "0,,1", "0,", "0 ", " 0",
          "+1", "0x1", "0-24", "sha256:sha256:0", "4294967296"})
        CHECK(support::refusal(PcrSelection::parse, other) == Errc::malformed);
}

TEST_CASE("a statement about other PCRs is about another selection") {
    const auto selection = PcrSelection::parse("0,9,23");
    const auto asked = selection.to_tpm();
    CHECK(asked.pcrSelections[0].pcrSelect[0] == 0x01);
    CHECK(asked.pcrSelections[0].pcrSelect[1] == 0x02);
    CHECK(asked.pcrSelections[0].pcrSelect[2] == 0x80);
    CHECK(attest::is_selection(asked, selection));
    auto stated = asked;
    SECTION("of another bank") {
        stated.pcrSelections[0].hash = TPM2_ALG_SHA384;
    }
    SECTION("of two banks") {
        stated.count = 2;
        stated.pcrSelections[1] = stated.pcrSelections[0];
    }
    SECTION("of none") {
        stated.count = 0;
    }
    SECTION("of fewer PCRs") {
        stated.pcrSelections[0].pcrSelect[2] = 0;
    }
    SECTION("of more PCRs") {
        stated.pcrSelections[0].pcrSelect[1] |= 1;
    }
    SECTION("with a shorter bitmap") {
        stated.pcrSelections[0].sizeofSelect = 2;
    }
    SECTION("with a longer bitmap") {
        stated.pcrSelections[0].sizeofSelect = 4;
    }
    CHECK_FALSE(attest::is_selection(stated, selection));
}

TEST_CASE("a quote has the digest of the values in ascending order") {
    const Bytes ones(32, 1), twos(32, 2);
    const auto digest = attest::quoted_digest({{10, twos}, {9, ones}});
    CHECK(hex(digest) == "f818afd37a6dc3bc92fb44731011277006db4efa6e9023cd7468c02335d22a4d");
}
