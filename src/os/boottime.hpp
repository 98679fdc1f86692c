#pragma once
// Time that goes on while the machine is suspended: CLOCK_BOOTTIME, for lifetimes that must end on time
// whatever the machine did meanwhile.

#include "base/unique_fd.hpp"

#include <chrono>

namespace sshtpm::os {

/// A clock as std::chrono asks for it. It starts at boot and is not set by anybody.
struct BootClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept;
};

/// A timer descriptor on that clock, disarmed, non-blocking. Once it has expired it is readable until it is
/// read (eight bytes), set or disarmed.
/// @throws Error(io)
UniqueFd boottime_timer();

/// Lets the timer expire at `when`, once; at once if that has passed. Replaces what was set before.
/// @throws Error(io)
void set_boottime_timer(int timer, BootClock::time_point when);

/// @throws Error(io)
void disarm_boottime_timer(int timer);

} // namespace sshtpm::os
