// SPDX-License-Identifier: MIT
#include "base/deadline.hpp"

#include "support/catch.hpp"

using namespace sshtpm;
using namespace std::chrono_literals;

TEST_CASE("milliseconds until a deadline are rounded up, and fit poll(2)") {
    const auto now = std::chrono::steady_clock::now();
    CHECK(milliseconds_until(now) == 0);
    CHECK(milliseconds_until(now - 24h) == 0);
    CHECK(milliseconds_until(now + 1h + 1us) <= 3'600'001);
    CHECK(milliseconds_until(now + 1h) > 3'000'000);
    CHECK(milliseconds_until(now + 24h * 365) == std::numeric_limits<int>::max());
}
