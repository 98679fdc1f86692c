// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <sstream>

using namespace sshtpm;

TEST_CASE("a hint is wrapped at 80 columns, between words") {
    const std::string long_word(90, 'x');
    for (const auto& hint :
         {std::string("a few words"), std::string(300, 'y').replace(150, 1, " "),
          "a word that is longer than a line " + long_word + " and more words behind it",
          std::string("thirty columns of text, then …, which is one column in UTF-8, and … "
                      "again, and … at the end of it")}) {
        std::istringstream lines(cli::hint_lines(hint));
        std::string joined;
        for (std::string line; std::getline(lines, line);) {
            INFO(line);
            const auto characters = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
            CHECK((characters <= 80 || line.find(' ', 6) == line.npos));
            CHECK(line.starts_with(joined.empty() ? "hint: " : "  "));
            joined += joined.empty() ? line : line.substr(1);
        }
        CHECK(joined == "hint: " + hint);
    }
}

TEST_CASE("a line of a hint has 80 columns if the words allow it") {
    CHECK(cli::hint_lines(std::string(74, 'x') + " y") == "hint: " + std::string(74, 'x') + "\n  y\n");
    CHECK(cli::hint_lines(std::string(72, 'x') + " y z") == "hint: " + std::string(72, 'x') + " y\n  z\n");
}

TEST_CASE("a command of a hint stays on one line, without its backticks") {
    CHECK(cli::hint_lines("`run this`") == "hint: run this\n");
    const std::string command(60, 'c');
    CHECK(
        cli::hint_lines("this text has forty-five columns or so, and: `run " + command + "`, if you like") ==
        "hint: this text has forty-five columns or so, and:\n  run " + command + ", if you like\n");
    const std::string longer = "run " + std::string(100, 'c') + " now";
    CHECK(cli::hint_lines("longer than a line: `" + longer + "` and then") ==
          "hint: longer than a line:\n  " + longer + "\n  and then\n");
    CHECK(cli::hint_lines("one ` alone does no harm").starts_with("hint: one  alone"));
}
