// SPDX-License-Identifier: MIT
#pragma once
// Times on the command line, in the TIME FORMATS of sshd_config(5).

#include <chrono>
#include <string>
#include <string_view>

namespace sshtpm::cli {

/// Parses a sequence of numbers, each in seconds or with a unit (s, m, h, d, w, in either case), and adds
/// them: "600", "10m", "1h30m", "1w2d". At most 2^31 - 1 seconds, as in OpenSSH; 0 is allowed.
/// @throws Error(usage)
std::chrono::seconds parse_time_span(std::string_view text);

/// The time as OpenSSH writes it: "01:30:00" (hours, minutes, seconds); from a day on "3d04h05m", from a week
/// on "02w3d04h", where the rest is left out.
std::string time_span_text(std::chrono::seconds time);

} // namespace sshtpm::cli
