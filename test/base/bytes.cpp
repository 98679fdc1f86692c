// SPDX-License-Identifier: MIT
#include "base/bytes.hpp"

#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

TEST_CASE("views are equal by content and length") {
    CHECK(equal(unhex("0102"), unhex("0102")));
    CHECK(equal({}, {}));
    CHECK_FALSE(equal(unhex("0102"), unhex("0103")));
    CHECK_FALSE(equal(unhex("0102"), unhex("01")));
    CHECK_FALSE(equal(unhex("01"), unhex("0102")));
}

TEST_CASE("leading zero bytes go, others stay") {
    CHECK(hex(without_leading_zeros(unhex("0000010000"))) == "010000");
    CHECK(hex(without_leading_zeros(unhex("ff"))) == "ff");
    CHECK(without_leading_zeros(unhex("0000")).empty());
    CHECK(without_leading_zeros({}).empty());
}

TEST_CASE("an integer is padded or trimmed to its field") {
    CHECK(hex(fixed_width(unhex("0102"), 4)) == "00000102");
    CHECK(hex(fixed_width(unhex("0000000102"), 4)) == "00000102");
    CHECK(hex(fixed_width(unhex("01020304"), 4)) == "01020304");
    CHECK(hex(fixed_width({}, 2)) == "0000");
    CHECK(fixed_width(unhex("00"), 0).empty());
}

TEST_CASE("an integer that its field cannot hold is refused") {
    CHECK(refusal([] { fixed_width(unhex("0100000000"), 4); }) == Errc::malformed);
    CHECK(refusal([] { fixed_width(unhex("01"), 0); }) == Errc::malformed);
}
