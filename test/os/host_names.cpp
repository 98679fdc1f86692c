// SPDX-License-Identifier: MIT
#include "os/host_names.hpp"

#include "support/test.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <unistd.h>

using namespace sshtpm;

TEST_CASE("the host name is the first of this machine's names, and none is there twice") {
    std::array<char, 256> name{};
    REQUIRE(::gethostname(name.data(), name.size() - 1) == 0);
    std::string lower(name.data());
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto names = os::host_names();
    REQUIRE_FALSE(names.empty());
    CHECK(names.front() == lower);
    CHECK(std::set(names.begin(), names.end()).size() == names.size());
}
