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
    CHECK(os::host_name() == name.data());
    std::string lower(name.data());
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto names = os::host_names();
    REQUIRE_FALSE(names.empty());
    CHECK(names.front() == lower);
    CHECK(std::set(names.begin(), names.end()).size() == names.size());
}

TEST_CASE("the names beside a host's are those in its lines of the hosts file") {
    using Names = std::vector<std::string>;
    CHECK(os::names_beside("127.0.1.1 box.example.com box\n", "box") == Names{"box.example.com"});
    CHECK(os::names_beside("127.0.1.1\tBOX.Example.com  Box web # db\n", "box") ==
          Names{"box.example.com", "web"});
    CHECK(os::names_beside("127.0.1.1 box a\n::1 b box a", "box") == Names{"a", "b"});
    CHECK(os::names_beside("127.0.0.1 localhost\n192.0.2.1 boxes other\n", "box").empty());
    CHECK(os::names_beside("# 127.0.1.1 box a\n127.0.1.1 a # box\n", "box").empty());
    CHECK(os::names_beside("box a\n", "box").empty()); // the first word is the address
    CHECK(os::names_beside("", "box").empty());
    CHECK(os::names_beside("\n \n127.0.1.1\n", "box").empty());
}
