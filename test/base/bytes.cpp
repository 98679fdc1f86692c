#include "base/bytes.hpp"

#include "support/test.hpp"

using namespace sshtpm;
using namespace support;

TEST_CASE("text and bytes are views of each other") {
    const std::string text("a\0\xff", 3);
    CHECK(hex(bytes_of(text)) == "6100ff");
    CHECK(text_of(bytes_of(text)) == text);
    CHECK(bytes_of("").empty());
    CHECK(text_of({}).empty());
}

TEST_CASE("the bytes of an object can be changed through their view") {
    std::uint32_t number = 0;
    auto bytes = memory_of(number);
    REQUIRE(bytes.size() == 4);
    for (auto& byte : bytes)
        byte = 0xff;
    CHECK(number == 0xffffffffU);
}

TEST_CASE("a copy does not follow its original") {
    Bytes original = unhex("0102");
    const Bytes copy = copy_of(original);
    original[0] = 9;
    CHECK(hex(copy) == "0102");
}

TEST_CASE("appending puts bytes behind bytes") {
    Bytes bytes = unhex("01");
    append(bytes, unhex("0203"));
    append(bytes, {});
    CHECK(hex(bytes) == "010203");
}

TEST_CASE("views are equal by content and length") {
    CHECK(equal(unhex("0102"), unhex("0102")));
    CHECK(equal({}, {}));
    CHECK_FALSE(equal(unhex("0102"), unhex("0103")));
    CHECK_FALSE(equal(unhex("0102"), unhex("01")));
    CHECK_FALSE(equal(unhex("01"), unhex("0102")));
}

TEST_CASE("hexadecimal is lower case and two digits a byte") {
    CHECK(hex(Bytes{0x00, 0x0a, 0xf0, 0xff}) == "000af0ff");
    CHECK(hex({}).empty());
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
