// SPDX-License-Identifier: MIT
#pragma once
// The time until a deadline, and waiting until then.

#include "base/unique_fd.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <poll.h>

namespace sshtpm {

using Deadline = std::chrono::steady_clock::time_point;

/// For poll(2): milliseconds until the deadline, rounded up; 0 once it has passed.
inline int milliseconds_until(Deadline deadline) noexcept {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, std::numeric_limits<int>::max()));
}

/// Waits for a descriptor. @param events as for poll(2) @returns false at the deadline
inline bool is_ready_before(Deadline deadline, int descriptor, short events = POLLIN) noexcept {
    pollfd wanted{.fd = descriptor, .events = events, .revents = 0};
    return uninterrupted([&] { return ::poll(&wanted, 1, milliseconds_until(deadline)); }) == 1;
}

} // namespace sshtpm
