// SPDX-License-Identifier: MIT
#pragma once
// Catches what is written to stderr.

#include "base/unique_fd.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace support {

/// What the call writes to stderr, which is a pipe meanwhile.
template <class Call>
std::string written_to_stderr(Call&& call) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const sshtpm::UniqueFd reading(ends[0]);
    sshtpm::UniqueFd writing(ends[1]);
    const sshtpm::UniqueFd kept(::dup(STDERR_FILENO));
    ::dup2(writing.value(), STDERR_FILENO);
    call();
    ::dup2(kept.value(), STDERR_FILENO);
    writing.reset();
    std::array<char, 4096> buffer{};
    const auto length = ::read(reading.value(), buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

} // namespace support
