// SPDX-License-Identifier: MIT
#include "os/forked.hpp"

#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

[[noreturn]] void run_copy(pid_t parent, int results, const std::function<void(int)>& work) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (::getppid() != parent || !nothing) // the parent ended before prctl
        std::_Exit(1);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::dup2(nothing.value(), standard);
    try { // the last catch of this process
        work(results);
    } catch (...) {
        std::_Exit(1);
    }
    std::_Exit(0);
}

} // namespace

ForkedChild::ForkedChild(const std::function<void(int results)>& work) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, "pipe");
    pipe_.reset(ends[0]);
    const UniqueFd writing(ends[1]);
    const auto parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0)
        throw Error::from_errno(errno, "fork");
    if (pid_ == 0)
        run_copy(parent, writing.value(), work);
}

ForkedChild::~ForkedChild() {
    ::kill(pid_, SIGKILL); // it is not reaped yet, so no other process has its pid
    ::waitpid(pid_, nullptr, WNOHANG);
}

} // namespace sshtpm::os
