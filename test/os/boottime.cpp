// SPDX-License-Identifier: MIT
#include "os/boottime.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

using namespace sshtpm;
using namespace std::chrono_literals;
using os::BootClock;

namespace {

bool expires_within(int timer, std::chrono::milliseconds limit) {
    pollfd wait{.fd = timer, .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, static_cast<int>(limit.count())) == 1;
}

} // namespace

TEST_CASE("the boot clock is CLOCK_BOOTTIME") {
    timespec before{};
    REQUIRE(::clock_gettime(CLOCK_BOOTTIME, &before) == 0);
    const auto now = BootClock::now().time_since_epoch();
    const auto difference =
        now - std::chrono::seconds(before.tv_sec) - std::chrono::nanoseconds(before.tv_nsec);
    CHECK(difference >= 0ns);
    CHECK(difference < 5s);
}

TEST_CASE("a timer expires when its time has come, and not before") {
    const auto timer = os::boottime_timer();
    const auto when = BootClock::now() + 50ms;
    os::set_boottime_timer(timer.value(), when);
    REQUIRE(expires_within(timer.value(), 10s));
    CHECK(BootClock::now() >= when);
    std::uint64_t times = 0;
    REQUIRE(::read(timer.value(), &times, sizeof times) == sizeof times);
    CHECK(times == 1);
    CHECK_FALSE(expires_within(timer.value(), 0ms));
}

TEST_CASE("a time that has passed expires at once, even one before the boot") {
    const auto timer = os::boottime_timer();
    for (const auto when : {BootClock::now() - 1h, BootClock::time_point(), BootClock::time_point(-1h)}) {
        os::set_boottime_timer(timer.value(), when);
        CHECK(expires_within(timer.value(), 10s));
        os::disarm_boottime_timer(timer.value());
        CHECK_FALSE(expires_within(timer.value(), 0ms));
    }
}

TEST_CASE("a disarmed timer does not expire, and one that is set anew forgets the time before") {
    const auto timer = os::boottime_timer();
    CHECK_FALSE(expires_within(timer.value(), 0ms));
    os::set_boottime_timer(timer.value(), BootClock::now() + 1h);
    itimerspec setting{};
    REQUIRE(::timerfd_gettime(timer.value(), &setting) == 0);
    CHECK(setting.it_value.tv_sec >= 3590);
    CHECK(setting.it_interval.tv_sec == 0);
    os::disarm_boottime_timer(timer.value());
    REQUIRE(::timerfd_gettime(timer.value(), &setting) == 0);
    CHECK(setting.it_value.tv_sec == 0);
    CHECK(setting.it_value.tv_nsec == 0);
}

TEST_CASE("reading a timer never waits, and no child inherits it") {
    const auto timer = os::boottime_timer();
    CHECK((::fcntl(timer.value(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(timer.value(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("what is no timer cannot be set") {
    CHECK_THROWS_AS(os::set_boottime_timer(-1, BootClock::now()), Error);
    CHECK_THROWS_AS(os::disarm_boottime_timer(-1), Error);
}
