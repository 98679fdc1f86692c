// SPDX-License-Identifier: MIT
#pragma once
// The time until a deadline.

#include <algorithm>
#include <chrono>
#include <limits>

namespace sshtpm {

using Deadline = std::chrono::steady_clock::time_point;

/// For poll(2): milliseconds until the deadline, rounded up; 0 once it has passed.
inline int milliseconds_until(Deadline deadline) noexcept {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, std::numeric_limits<int>::max()));
}

} // namespace sshtpm
