// SPDX-License-Identifier: MIT
#include "base/shell_word.hpp"

#include "support/catch.hpp"

using namespace sshtpm;

TEST_CASE("a plain word stays as it is, and any other is quoted") {
    CHECK(shell_word("/home/x/.ssh/id_ecdsa.tpm") == "/home/x/.ssh/id_ecdsa.tpm");
    CHECK(shell_word("") == "''");
    CHECK(shell_word("a b") == "'a b'");
    CHECK(shell_word("~x") == "'~x'");
    CHECK(shell_word("$(x)") == "'$(x)'");
    CHECK(shell_word("it's") == R"('it'\''s')");
}

TEST_CASE("each shell has special characters between quotes") {
    CHECK(shell_word("a!\\\n") == "'a!\\\n'");
    CHECK(shell_word("a!\\\n", Shell::c) == "'a\\!\\\\\n'");
    CHECK(shell_word("a!\\\n", Shell::fish) == R"('a!\\'\n'')");
}
