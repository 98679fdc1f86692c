// SPDX-License-Identifier: MIT
#include "base/unique_fd.hpp"

#include "support/catch.hpp"

#include <fcntl.h>
#include <unistd.h>

using sshtpm::UniqueFd;

namespace {

UniqueFd open_null() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

} // namespace

TEST_CASE("a descriptor is closed with its owner, and by a reset") {
    CHECK_FALSE(UniqueFd());
    CHECK(UniqueFd().value() == -1);
    int number = -1;
    {
        const auto fd = open_null();
        REQUIRE(fd);
        number = fd.value();
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
    auto fd = open_null();
    number = fd.value();
    fd.reset();
    CHECK_FALSE(fd);
    CHECK_FALSE(is_open(number));
}

TEST_CASE("a moved descriptor has one owner, and one moved to itself stays open") {
    auto a = open_null();
    const int number = a.value();
    UniqueFd b(std::move(a));
    CHECK_FALSE(a); // NOLINT(bugprone-use-after-move): what is left is the matter of this test
    CHECK(b.value() == number);

    auto c = open_null();
    const int replaced = c.value();
    c = std::move(b);
    auto& same = c;
    c = std::move(same);
    CHECK(c.value() == number);
    CHECK_FALSE(is_open(replaced));
    CHECK(is_open(number));
}

TEST_CASE("a released descriptor stays open") {
    auto fd = open_null();
    const int number = fd.release();
    CHECK_FALSE(fd);
    CHECK(is_open(number));
    CHECK(::close(number) == 0);
}
