// SPDX-License-Identifier: MIT
#include "cli/time_span.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <string>

using namespace sshtpm;
using namespace support;
using cli::parse_time_span;

TEST_CASE("a number is seconds, a unit in either case changes that, and a sequence is added") {
    const auto seconds = [](std::string_view text) { return parse_time_span(text).count(); };
    for (const auto* text : {"600", "600s", "10m", "10M", "5m5m", "9m60", "0600"})
        CHECK(seconds(text) == 600);
    CHECK(seconds("2h") == 7200);
    CHECK(seconds("3d") == 259200);
    CHECK(seconds("1w") == 604800);
    CHECK(seconds("0") == 0);
    CHECK(seconds("1M1H1D1W1S") == 61 + 3600 + 86400 + 604800);
    for (const auto* text : {"2147483647", "3550w5d3h14m7s"}) // the longest time
        CHECK(seconds(text) == 2147483647);
}

TEST_CASE("a time is written as ssh-add of OpenSSH 10.1 writes it") {
    const auto text = [](std::string_view time) { return cli::time_span_text(parse_time_span(time)); };
    CHECK(text("1s") == "00:00:01");
    CHECK(text("1h30m") == "01:30:00");
    CHECK(text("23h59m59s") == "23:59:59");
    CHECK(text("1d") == "1d00h00m");
    CHECK(text("6d23h59m59s") == "6d23h59m");
    CHECK(text("1w") == "01w0d00h");
    CHECK(text("2147483647") == "3550w5d03h");
}

TEST_CASE("what is no time, or too long a time, is refused") {
    for (const char* text : {"", " ", "m", "-1", "+1", " 1", "1 ", "1 m", "1y", "1.5h", "1.5", "0x10", "1mm",
                             "h1", "1h-30m", "1m\n", "none", "forever", "\xd9\xa1",
                             // more than 2^31 - 1 seconds, however it is written
                             "2147483648", "3550w5d3h14m8s", "3551w", "4294967296", "99999999999999999999999",
                             "2147483647s1", "4294967295w4294967295w"}) {
        INFO(text);
        CHECK(refusal([&] { parse_time_span(text); }) == Errc::usage);
    }
    CHECK(refusal([] { parse_time_span(std::string_view("1\0", 2)); }) == Errc::usage);
}
