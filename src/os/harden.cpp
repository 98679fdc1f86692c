#include "os/harden.hpp"

#include "os/environment.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

/// What harden_process found, for undo_harden_before_exec.
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

/// The soft limit alone: a hard one could not be raised again for a command of the person's. Of this process
/// no core is written in any case, because it is not dumpable (core(5)).
rlim_t set_core_limit(rlim_t bytes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    const auto found = limit.rlim_cur;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_CORE, &limit);
    return found;
}

/// A parent may have left any signal ignored or blocked. With SIGCHLD ignored the status of a child is lost,
/// for one. nohup(1) and a shell's "&" ignore three on purpose: those stay ignored.
void reset_signals(Before& found) {
    sigset_t none;
    sigemptyset(&none);
    sigemptyset(&found.ignored);
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action {};
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
    // A program started without standard descriptors would write its messages into the first file it opens.
    // Not for writing: what is printed to a closed descriptor has gone nowhere, and that must show.
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
    ::setenv("TSS2_LOG", "all+none", 1); // read once, at tpm2-tss' first message
    if (!before())
        before() = found;
}

bool was_ignored_at_start(int signal) {
    return before() && sigismember(&before()->ignored, signal) == 1;
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
    ::close_range(static_cast<unsigned>(first), ~0U, 0);
}

} // namespace sshtpm::os
