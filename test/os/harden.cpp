#include "os/harden.hpp"

#include "support/catch.hpp"

#include <cstdlib>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace sshtpm;

TEST_CASE("a hardened process leaves no core, is not dumpable, and tpm2-tss stays silent") {
    ::setenv("TSS2_LOG", "all+debug", 1);
    ::setenv("TSS2_LOGFILE", "/tmp/somewhere", 1);
    os::harden_process();

    CHECK(::prctl(PR_GET_DUMPABLE) == 0);
    rlimit core{};
    REQUIRE(::getrlimit(RLIMIT_CORE, &core) == 0);
    CHECK(core.rlim_max == 0);
    CHECK(::umask(077) == 077);
    CHECK(std::string(::getenv("TSS2_LOG")) == "all+none");
    CHECK(::getenv("TSS2_LOGFILE") == nullptr);
}
