// SPDX-License-Identifier: MIT
#include "attest/known_eks.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;

namespace {

const std::string ek_name = "000b" + std::string(64, 'a');

} // namespace

TEST_CASE("known endorsement keys have principals or none") {
    const auto known = attest::parse_known_eks(
        "# machines\n\n  " + ek_name + " web1,web1.example.org\r\n000c" + std::string(96, '0') + "\n");
    REQUIRE(known.size() == 2);
    CHECK(known[0].principals == std::vector<std::string>{"web1", "web1.example.org"});
    CHECK(known[1].principals.empty());
    CHECK(attest::find_ek(known, *from_hex(ek_name)) == &known[0]);
    CHECK(attest::find_ek(known, bytes_of("other")) == nullptr);
}

TEST_CASE("a wrong line of known endorsement keys is named") {
    const auto refusal = [](const std::string& line) {
        return support::complaint([&] { attest::parse_known_eks("\n" + line + "\n"); });
    };
    for (const auto& name : {std::string("000B"), std::string("web1"), ek_name.substr(0, 66), ek_name + "0"})
        CHECK(refusal(name) == "line 2: not the Name of an endorsement key");
    for (const auto& list : {",", "a,", ",a", "a,,b", "a\x01"})
        CHECK(refusal(ek_name + ' ' + list) == "line 2: an empty or unprintable principal");
    CHECK(refusal(ek_name + "\n" + ek_name + " a") == "line 3: this endorsement key has a line already");
    CHECK(refusal(ek_name + " a b") == "line 2: a third word; principals are separated by commas");
}
