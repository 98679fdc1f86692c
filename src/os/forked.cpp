// SPDX-License-Identifier: MIT
#include "os/forked.hpp"

#include "base/error.hpp"
#include "os/child.hpp"
#include "os/harden.hpp"
#include "os/signals.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::os {

namespace {

/// Forks this process. The copy does the work and ends, also if the work throws.
template <class Work>
pid_t run_in_copy(const Work& work) {
    const auto pid = ::fork();
    if (pid < 0)
        throw Error::from_errno(errno, "fork");
    if (pid > 0)
        return pid;
    try { // the last catch of this process
        work();
    } catch (...) {
        std::_Exit(1);
    }
    std::_Exit(0);
}

void become_companion(const char* name, int socket, int own) {
    ::prctl(PR_SET_NAME, name);
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGTSTP, SIGTTIN, SIGTTOU})
        ::signal(number, SIG_IGN);
    if (socket != own && ::dup3(socket, own, O_CLOEXEC) < 0)
        throw Error::from_errno(errno, name);
    close_stray_descriptors(own + 1);
}

} // namespace

ForkedChild::ForkedChild(const std::function<void(int results)>& work) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, "pipe");
    pipe_.reset(ends[0]);
    const UniqueFd writing(ends[1]);
    pid_ = run_in_copy([&, parent = ::getpid()] {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        redirect_to_null({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
        if (::getppid() == parent) // else the parent ended before prctl
            work(writing.value());
    });
}

ForkedChild::~ForkedChild() {
    ::kill(pid_, SIGKILL); // it is not reaped yet, so no other process has its pid
    ::waitpid(pid_, nullptr, WNOHANG);
}

Companion::Companion(const char* name, const std::function<void(UniqueFd socket)>& serve) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw Error::from_errno(errno, "socketpair");
    socket_.reset(ends[0]);
    const UniqueFd companions(ends[1]);
    std::optional<BlockedSignals> until_ignored(std::in_place);
    pid_ = run_in_copy([&] {
        constexpr int own = STDERR_FILENO + 1;
        become_companion(name, companions.value(), own);
        until_ignored.reset();
        serve(UniqueFd(own));
    });
}

Companion::~Companion() {
    constexpr int patience = 1000; // ms
    socket_.reset();
    const auto ended = open_pidfd(pid_);
    pollfd end{.fd = ended.value(), .events = POLLIN, .revents = 0};
    const bool in_time = ended && uninterrupted([&] { return ::poll(&end, 1, patience); }) == 1;
    // It is not reaped yet, so no other process has its pid. In a sandbox this process may not kill it, and
    // leaves a companion that is stopped behind: it ends when it continues.
    if (in_time || ::kill(pid_, SIGKILL) == 0)
        uninterrupted([&] { return ::waitpid(pid_, nullptr, 0); });
}

} // namespace sshtpm::os
