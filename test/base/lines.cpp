// SPDX-License-Identifier: MIT
#include "base/lines.hpp"

#include "support/catch.hpp"

using sshtpm::value_in;

TEST_CASE("a value is the rest of the first line that begins with its name") {
    constexpr auto text = "ID=debian\nPRETTY_NAME=\"A system\"\r\nPRETTY_NAME=other\nEMPTY=\nLAST=1";
    CHECK(value_in(text, "ID=") == "debian");
    CHECK(value_in(text, "PRETTY_NAME=") == "A system");
    CHECK(value_in(text, "LAST=") == "1");
    CHECK(value_in(text, "EMPTY=").empty());
    CHECK(value_in(text, "NAME=").empty());
    CHECK(value_in("", "ID=").empty());
}

TEST_CASE("a quotation mark without its second one stays") {
    CHECK(value_in("A=\"", "A=") == "\"");
    CHECK(value_in("A=\"b", "A=") == "\"b");
    CHECK(value_in("A=b\"", "A=") == "b\"");
    CHECK(value_in("A=\"\"", "A=").empty());
}
