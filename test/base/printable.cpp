// SPDX-License-Identifier: MIT
#include "base/printable.hpp"

#include "support/catch.hpp"

#include <string>

using sshtpm::is_printable;
using sshtpm::printable;

TEST_CASE("text that a person can read is left alone") {
    for (const std::string text : {"", "plain ~ text?", "clé", "ключ", "鍵", "🔑", "a\u00a0b"}) {
        INFO(text);
        CHECK(printable(text) == text);
        CHECK(is_printable(text));
    }
}

TEST_CASE("control characters become question marks") {
    CHECK(printable("a\x1b[2Jb") == "a?[2Jb");
    CHECK(printable("a\nb\tc\rd\x7f") == "a?b?c?d?");
    CHECK(printable(std::string("a\0b", 3)) == "a?b");
    CHECK(printable("a\xc2\x9b"
                    "b") == "a?b"); // CSI of C1
    CHECK_FALSE(is_printable("\n"));
    CHECK_FALSE(is_printable("\xc2\x9b"));
}

TEST_CASE("characters that reorder or hide others become question marks") {
    for (const std::string text : {
             "\xe2\x80\xae",     // U+202E right-to-left override
             "\xe2\x81\xa6",     // U+2066 left-to-right isolate
             "\xe2\x80\x8b",     // U+200B zero width space
             "\xe2\x80\xa8",     // U+2028 line separator
             "\xef\xbb\xbf",     // U+FEFF
             "\xc2\xad",         // U+00AD soft hyphen
             "\xf3\xa0\x81\x81", // U+E0041, a tag
         }) {
        CHECK(printable("a" + text + "b") == "a?b");
        CHECK_FALSE(is_printable(text));
    }
}

TEST_CASE("each byte that is not UTF-8 becomes a question mark") {
    CHECK(printable("a\xff\xfe"
                    "b") == "a??b");
    CHECK(printable("\x80") == "?");                // a continuation alone
    CHECK(printable("\xc0\xaf") == "??");           // overlong '/'
    CHECK(printable("\xe0\x80\xaf") == "???");      // the same in three bytes
    CHECK(printable("\xed\xa0\x80") == "???");      // a surrogate
    CHECK(printable("\xf4\x90\x80\x80") == "????"); // above U+10FFFF
    CHECK(printable("\xe2\x82") == "??");           // cut short
    CHECK(printable("\xc3(") == "?(");              // the byte after a bad lead is read anew
    CHECK_FALSE(is_printable("\xe2\x82"));
}

TEST_CASE("long text is cut between characters") {
    CHECK(printable("abcdef", 6) == "abcdef");
    CHECK(printable("abcdef", 5) == "abcde...");
    CHECK(printable("ab\xc3\xa9", 3) == "ab...");
    CHECK(printable("a", 0) == "...");
    CHECK(printable("", 0).empty());
    CHECK(printable(std::string(201, 'a')) == std::string(200, 'a') + "...");
}

TEST_CASE("text is UTF-8 or not whatever it would show") {
    CHECK(sshtpm::is_utf8("Schlüssel 🔑\x1B[2J\xE2\x80\xAE"));
    CHECK_FALSE(sshtpm::is_utf8("surrogate \xED\xA0\x80"));
}
