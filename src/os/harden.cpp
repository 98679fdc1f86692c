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
    bool pipe_signal_ignored = false;
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

void put_back(const char* name, const std::optional<std::string>& value) {
    if (value)
        ::setenv(name, value->c_str(), 1);
    else
        ::unsetenv(name);
}

} // namespace

void harden_process() {
    // A program started without standard descriptors would write its messages into the first file it opens.
    int fd = 0;
    do
        fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
    ::prctl(PR_SET_DUMPABLE, 0);
    Before found{.tss_log = variable("TSS2_LOG"), .tss_log_file = variable("TSS2_LOGFILE")};
    found.core = set_core_limit(0);
    found.umask = ::umask(077);
    found.pipe_signal_ignored = ::signal(SIGPIPE, SIG_IGN) == SIG_IGN;
    ::unsetenv("TSS2_LOGFILE");
    ::setenv("TSS2_LOG", "all+none", 1); // read once, at tpm2-tss' first message
    if (!before())
        before() = found;
}

void undo_harden_before_exec() {
    if (!before())
        return;
    set_core_limit(before()->core);
    ::umask(before()->umask);
    if (!before()->pipe_signal_ignored)
        ::signal(SIGPIPE, SIG_DFL);
    put_back("TSS2_LOG", before()->tss_log);
    put_back("TSS2_LOGFILE", before()->tss_log_file);
    before().reset();
}

void close_stray_descriptors(int first) {
    ::close_range(static_cast<unsigned>(first), ~0U, 0);
}

} // namespace sshtpm::os
