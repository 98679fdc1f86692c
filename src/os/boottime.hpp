// SPDX-License-Identifier: MIT
#pragma once
// CLOCK_BOOTTIME, the time since the boot. Keys and PINs expire by this clock, because it also counts while
// the machine is suspended, and nobody can set it.

#include "base/unique_fd.hpp"

#include <chrono>

namespace sshtpm::os {

/// A clock for std::chrono.
struct BootClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept;
};

/// A non-blocking timer descriptor (timerfd_create(2)), disarmed. An expired timer is readable until its
/// eight bytes are read, or until it is set or disarmed.
/// @throws Error(io)
UniqueFd boottime_timer();

/// Makes the timer expire once, immediately if `when` has passed. Replaces an earlier time.
/// @throws Error(io)
void set_boottime_timer(int timer, BootClock::time_point when);

/// @throws Error(io)
void disarm_boottime_timer(int timer);

} // namespace sshtpm::os
