// SPDX-License-Identifier: MIT
#include "ssh/text.hpp"

#include "ssh/vectors.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace sshtpm::ssh;

TEST_CASE("a pattern matches the whole text, with its case") {
    CHECK(match_pattern("", ""));
    CHECK(match_pattern("root", "root"));
    CHECK_FALSE(match_pattern("root", "Root"));
    CHECK_FALSE(match_pattern("root", "roo"));
    CHECK_FALSE(match_pattern("root", "roots"));
    CHECK_FALSE(match_pattern("root", ""));
    CHECK_FALSE(match_pattern("", "root"));
}

TEST_CASE("an asterisk stands for any characters, a question mark for one") {
    for (const auto* const pattern :
         {"*", "**", "r*", "*t", "r*t", "*root*", "r?ot", "????", "*?", "?*?*?*?", "r*o*t"})
        CHECK(match_pattern("root", pattern));
    for (const auto* const pattern : {"?", "???", "?????", "*a*", "r*x", "t*", "*r", "?*?*?*?*?", "o*t"})
        CHECK_FALSE(match_pattern("root", pattern));
    CHECK(match_pattern("", "*"));
    CHECK_FALSE(match_pattern("", "?"));
    CHECK_FALSE(match_pattern("", "*?"));
    CHECK(match_pattern("abcabcabd", "*abd"));
    CHECK(match_pattern("a.b.c", "*.?.c"));
}

TEST_CASE("brackets, backslashes, exclamation marks and commas of a single pattern are themselves") {
    CHECK(match_pattern("[a]", "[a]"));
    CHECK_FALSE(match_pattern("a", "[a]"));
    CHECK(match_pattern("\\x", "\\?"));
    CHECK(match_pattern("!a,b", "!a,b"));
    CHECK_FALSE(match_pattern("b", "!a"));
}

TEST_CASE("a pattern made to take for ever does not") {
    std::string pattern;
    for (int i = 0; i < 500; ++i)
        pattern += "*a";
    const std::string text(1000, 'a');
    CHECK(match_pattern(text, pattern));
    CHECK_FALSE(match_pattern(text, pattern + "b"));
    CHECK_FALSE(match_pattern(text, pattern + "?b*"));
}

TEST_CASE("the case of ASCII letters in the name of a host does not matter") {
    CHECK(match_host("Host.Example.COM", "*.eXample.com"));
    CHECK_FALSE(match_host("HOST", "*,!host"));
    CHECK_FALSE(match_host("\xc4", "\xe4"));
}

TEST_CASE("a list with a pattern that OpenSSH has no room for matches nothing") {
    const std::string longest(1022, 'x');
    CHECK(match_host(longest, longest));
    CHECK(match_host("a", "!" + longest + ",a"));
    CHECK_FALSE(match_host(longest + "x", longest + "x"));
    CHECK_FALSE(match_host("a", "a," + longest + "x"));
    CHECK_FALSE(match_host("a", longest + "x,a"));
}

TEST_CASE("lists of patterns match what ssh-keygen says they match") {
    auto rows = vectors::lines("known_hosts/patterns.txt");
    const auto texts = vectors::words(rows.at(0));
    rows.erase(rows.begin());
    CHECK(rows.size() > 200);
    for (const auto& row : rows) {
        const auto expected = vectors::words(row);
        std::vector<std::string> found{expected.at(0)};
        std::ranges::copy_if(texts, std::back_inserter(found),
                             [&](const auto& text) { return match_host(text, expected[0]); });
        CHECK(found == expected);
    }
    CHECK_FALSE(match_host("", "")); // no line of a file can say this
    CHECK(match_host("", ",a"));
}
