#include "cli/time_span.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <string>

using namespace sshtpm;
using namespace support;
using cli::parse_time_span;

TEST_CASE("a number is seconds, and a unit behind it changes that") {
    CHECK(parse_time_span("600").count() == 600);
    CHECK(parse_time_span("600s").count() == 600);
    CHECK(parse_time_span("10m").count() == 600);
    CHECK(parse_time_span("2h").count() == 7200);
    CHECK(parse_time_span("3d").count() == 259200);
    CHECK(parse_time_span("1w").count() == 604800);
    CHECK(parse_time_span("0").count() == 0);
    CHECK(parse_time_span("007").count() == 7);
}

TEST_CASE("units may be in capitals") {
    CHECK(parse_time_span("1S").count() == 1);
    CHECK(parse_time_span("1M1H1D1W").count() == 60 + 3600 + 86400 + 604800);
}

TEST_CASE("the times of a sequence are added") {
    CHECK(parse_time_span("1h30m").count() == 5400);
    CHECK(parse_time_span("1w2d").count() == 777600);
    CHECK(parse_time_span("1m30").count() == 90);
    CHECK(parse_time_span("1m1m").count() == 120);
}

TEST_CASE("what is no time is refused") {
    for (const char* text : {"", " ", "m", "-1", "+1", " 1", "1 ", "1 m", "1y", "1.5h", "1.5", "0x10", "1mm",
                             "h1", "1h-30m", "1m\n", "none", "forever", "\xd9\xa1"}) {
        INFO(text);
        CHECK(refusal([&] { parse_time_span(text); }) == Errc::usage);
    }
    CHECK(refusal([] { parse_time_span(std::string_view("1\0", 2)); }) == Errc::usage);
}

TEST_CASE("the longest time is 2^31 - 1 seconds, however it is written") {
    CHECK(parse_time_span("2147483647").count() == 2147483647);
    CHECK(parse_time_span("3550w5d3h14m7s").count() == 2147483647);
    for (const char* text : {"2147483648", "3550w5d3h14m8s", "3551w", "4294967296", "99999999999999999999999",
                             "2147483647s1", "4294967295w4294967295w"}) {
        INFO(text);
        CHECK(refusal([&] { parse_time_span(text); }) == Errc::usage);
    }
}
