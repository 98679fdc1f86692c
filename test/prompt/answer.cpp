// SPDX-License-Identifier: MIT
#include "prompt/askpass.hpp"
#include "support/catch.hpp"

#include <string>

using namespace sshtpm;
using prompt::is_permission;

namespace {

std::string first_line(std::string_view text) {
    auto secret = Secret::copy_of(bytes_of(text));
    prompt::keep_first_line(secret);
    return std::string(text_of(secret.view()));
}

} // namespace

TEST_CASE("an answer ends at the first newline or carriage return, and nothing else of it goes") {
    CHECK(first_line("1234\n") == "1234");
    CHECK(first_line("1234") == "1234");
    CHECK(first_line("1234\r\n") == "1234");
    CHECK(first_line("1234\n\n") == "1234");
    CHECK(first_line("1234\nmore\n") == "1234");
    CHECK(first_line("12\r34") == "12");
    CHECK(first_line(" 12 34 \n") == " 12 34 ");
    CHECK(first_line("\n1234").empty());
    CHECK(first_line("\n").empty());
    CHECK(first_line("").empty());
}

TEST_CASE("nothing, an empty line or yes is a permission") {
    for (const char* output : {"", "\n", "\r\n", "yes", "yes\n", "yes\r\n", "YES\n", "Yes"}) {
        INFO(output);
        CHECK(is_permission(bytes_of(output)));
    }
}

TEST_CASE("any other output is no permission") {
    for (const char* output : {"no", "no\n", "y", "ye", "y\n", "yess", "yes ", " yes", " ", "\n\n", "yes\n\n",
                               "\nno", "yes\nno", "\ryes", "true", "1", "ok"}) {
        INFO(output);
        CHECK_FALSE(is_permission(bytes_of(output)));
    }
    for (const std::string_view output : {std::string_view("\0", 1), std::string_view("\0no", 3),
                                          std::string_view("yes\0", 4), std::string_view("ye\0", 3)})
        CHECK_FALSE(is_permission(bytes_of(output)));
}
