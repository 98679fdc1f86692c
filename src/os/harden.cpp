// SPDX-License-Identifier: MIT
#include "os/harden.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <malloc.h>
#include <optional>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

/// Settings before harden_process, for undo_harden_before_exec.
struct Before {
    rlim_t core = 0;
    mode_t umask = 077;
    sigset_t ignored{}, blocked{};
    std::optional<std::string> tss_log, tss_log_file;
};

std::optional<Before>& before() {
    static std::optional<Before> instance;
    return instance;
}

/// Sets the soft limit only, because a hard limit could not be raised again for a user's command. This
/// process writes no core anyway, because it is not dumpable (core(5)).
/// @returns the limit before
rlim_t set_core_limit(rlim_t bytes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    const auto found = limit.rlim_cur;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_CORE, &limit);
    return found;
}

/// Restores the default handling of signals: the parent may have ignored or blocked any. With SIGCHLD
/// ignored, for example, the exit status of a child is lost. SIGHUP, SIGINT and SIGQUIT stay ignored, because
/// nohup(1) and a shell's "&" ignore them on purpose.
void reset_signals(Before& found) {
    sigset_t none;
    sigemptyset(&none);
    sigemptyset(&found.ignored);
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action = {};
        if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_IGN)
            continue;
        sigaddset(&found.ignored, number);
        if (number != SIGHUP && number != SIGINT && number != SIGQUIT)
            ::signal(number, SIG_DFL);
    }
    ::signal(SIGPIPE, SIG_IGN);
    ::sigprocmask(SIG_SETMASK, &none, &found.blocked);
}

void put_back(const char* name, const std::optional<std::string>& value) {
    if (value)
        ::setenv(name, value->c_str(), 1);
    else
        ::unsetenv(name);
}

} // namespace

void harden_process() {
    // Without standard descriptors, messages would go into the next file that this process opens. /dev/null
    // is opened read-only, so that printing still fails.
    int fd = 0;
    do
        fd = ::open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
    ::prctl(PR_SET_DUMPABLE, 0);
    Before found{.tss_log = variable("TSS2_LOG"), .tss_log_file = variable("TSS2_LOGFILE")};
    found.core = set_core_limit(0);
    found.umask = ::umask(077);
    reset_signals(found);
    ::unsetenv("TSS2_LOGFILE");
    ::setenv("TSS2_LOG", "all+none", 1); // tpm2-tss reads it once, at its first message
    if (!before())
        before() = found;
}

bool was_ignored_at_start(int signal) {
    return before() && sigismember(&before()->ignored, signal) == 1;
}

mode_t umask_at_start() {
    return before().value_or(Before{}).umask;
}

void undo_harden_before_exec() {
    if (!before())
        return;
    set_core_limit(before()->core);
    ::umask(before()->umask);
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, was_ignored_at_start(number) ? SIG_IGN : SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &before()->blocked, nullptr);
    put_back("TSS2_LOG", before()->tss_log);
    put_back("TSS2_LOGFILE", before()->tss_log_file);
    before().reset();
}

void close_stray_descriptors(int first) {
    ::syscall(SYS_close_range, first, ~0U, 0U); // musl has no function for it
}

void redirect_to_null(std::initializer_list<int> descriptors) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int fd : descriptors)
        if (!null || ::dup2(null.value(), fd) < 0)
            throw Error::from_errno(errno, "/dev/null");
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit); // if it failed, the agent would serve fewer clients
}

std::size_t free_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        throw Error::from_errno(errno, "the limit of descriptors");
    const UniqueFd first_free(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    return first_free ? limit.rlim_cur - static_cast<rlim_t>(first_free.value()) : 0;
}

void return_large_buffers() {
#ifdef M_MMAP_THRESHOLD // of glibc
    constexpr int threshold = 64 * 1024;
    ::mallopt(M_MMAP_THRESHOLD, threshold);
#endif
}

} // namespace sshtpm::os
