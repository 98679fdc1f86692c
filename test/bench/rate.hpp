// SPDX-License-Identifier: MIT
#pragma once
// How often something can be done in a second, measured in slices that are asked for one by one: contenders
// take turns, and what else the machine does meets all of them alike.

#include <chrono>
#include <iostream>
#include <string>

namespace sshtpm::bench {

/// Calls `once` for `seconds`, after a short while without counting.
/// @returns what the counted calls returned, summed up, per second.
template <class Once>
double rate_of(Once& once, double seconds) {
    using Clock = std::chrono::steady_clock;
    using Seconds = std::chrono::duration<double>;
    constexpr Seconds warm_up{0.05};
    for (const auto start = Clock::now(); Clock::now() - start < warm_up;)
        once();

    std::size_t done = 0;
    const auto start = Clock::now();
    auto now = start;
    for (; now - start < Seconds(seconds); now = Clock::now())
        done += once();
    return static_cast<double>(done) / Seconds(now - start).count();
}

/// Each line of standard input is a number of seconds, and is answered with a line: the rate.
template <class Once>
void serve_rates(Once once) {
    for (std::string line; std::getline(std::cin, line);)
        std::cout << rate_of(once, std::stod(line)) << std::endl;
}

} // namespace sshtpm::bench
