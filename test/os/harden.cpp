#include "os/harden.hpp"

#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace sshtpm;
using support::in_process;

TEST_CASE("a hardened process leaves no core, is not dumpable, and tpm2-tss stays silent") {
    ::setenv("TSS2_LOG", "all+debug", 1);
    ::setenv("TSS2_LOGFILE", "/tmp/somewhere", 1);
    os::harden_process();

    CHECK(::prctl(PR_GET_DUMPABLE) == 0);
    rlimit core{};
    REQUIRE(::getrlimit(RLIMIT_CORE, &core) == 0);
    CHECK(core.rlim_cur == 0);
    CHECK(::umask(077) == 077);
    CHECK(std::string(::getenv("TSS2_LOG")) == "all+none");
    CHECK(::getenv("TSS2_LOGFILE") == nullptr);
}

TEST_CASE("stray descriptors are closed, and those before them stay") {
    const auto open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
    for (const int first : {3, 4}) {
        CHECK(in_process([&] {
                  for (const int fd : {3, 4, 5, 200})
                      ::dup2(STDERR_FILENO, fd);
                  os::close_stray_descriptors(first);
                  return open(0) && open(1) && open(2) && open(3) == (first > 3) && !open(4) && !open(5) &&
                                 !open(200)
                             ? 0
                             : 1;
              }) == 0);
    }
}
