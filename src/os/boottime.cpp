// SPDX-License-Identifier: MIT
#include "os/boottime.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <sys/timerfd.h>

namespace sshtpm::os {

namespace {

constexpr const char* timer_subject = "a timer on CLOCK_BOOTTIME";

void set(int timer, std::chrono::nanoseconds since_boot) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
    itimerspec setting{};
    setting.it_value.tv_sec = seconds.count();
    setting.it_value.tv_nsec = (since_boot - seconds).count();
    if (::timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, nullptr) != 0)
        throw Error::from_errno(errno, timer_subject);
}

} // namespace

BootClock::time_point BootClock::now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now); // cannot fail since Linux 2.6.39
    return time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

UniqueFd boottime_timer() {
    UniqueFd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer)
        throw Error::from_errno(errno, timer_subject);
    return timer;
}

void set_boottime_timer(int timer, BootClock::time_point when) {
    // Zero would disarm the timer (timerfd_settime(2)), and a time before the boot has passed anyway.
    set(timer, std::max(when.time_since_epoch(), BootClock::duration(1)));
}

void disarm_boottime_timer(int timer) {
    set(timer, BootClock::duration::zero());
}

} // namespace sshtpm::os
