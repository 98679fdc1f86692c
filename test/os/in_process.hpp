#pragma once
// What changes a process for good is tried in another one.

#include "support/catch.hpp"

#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Runs in a forked process. @returns its status.
inline int in_process(const std::function<int()>& run) {
    const pid_t pid = ::fork();
    if (pid == 0)
        ::_exit(run());
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace support
