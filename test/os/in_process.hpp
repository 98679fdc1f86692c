// SPDX-License-Identifier: MIT
#pragma once
// What changes a process for good is tried in another one.

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "support/catch.hpp"

#include <array>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

constexpr int status_of_error(sshtpm::Errc code) {
    return 100 + static_cast<int>(code);
}

/// Runs in a forked process. @returns what `run` returns, `status_of_error` of the Error that it throws, or
/// 128 and the signal that ended it.
inline int in_process(const std::function<int()>& run) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        int status = 99;
        try {
            status = run();
        } catch (const sshtpm::Error& error) {
            status = status_of_error(error.code());
        }
        ::_exit(status);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

inline std::string read_all(int fd) {
    std::string out;
    std::array<char, 256> chunk{};
    for (ssize_t got = 0; (got = ::read(fd, chunk.data(), chunk.size())) > 0;)
        out.append(chunk.data(), static_cast<std::size_t>(got));
    return out;
}

/// What the children of a test say; the reading end sees the end when all of them are gone.
struct Pipe {
    sshtpm::UniqueFd reading, writing;
    Pipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        reading.reset(ends[0]);
        writing.reset(ends[1]);
    }
    void say(const std::string& text) const {
        [[maybe_unused]] const auto written = ::write(writing.value(), text.data(), text.size());
    }
    std::string heard() {
        writing.reset();
        return read_all(reading.value());
    }
};

} // namespace support
