#include "os/harden.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::os {

void harden_process() {
    // A program started without standard descriptors would write its messages into the first file it opens.
    int fd = 0;
    do
        fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    ::close(fd);
    ::prctl(PR_SET_DUMPABLE, 0);
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::umask(077);
    ::signal(SIGPIPE, SIG_IGN);
    ::unsetenv("TSS2_LOGFILE");
    ::setenv("TSS2_LOG", "all+none", 1); // read once, at tpm2-tss' first message
}

} // namespace sshtpm::os
