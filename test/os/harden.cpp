// SPDX-License-Identifier: MIT
#include "os/harden.hpp"

#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <csignal>
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

TEST_CASE("the umask from before is remembered") {
    CHECK(in_process([] {
              os::undo_harden_before_exec(); // of the test before, in this same process
              ::umask(027);
              os::harden_process();
              return os::umask_at_start() == 027 ? 0 : 1;
          }) == 0);
}

TEST_CASE(
    "a hardened process has no signal blocked, and ignores those that nohup and \"&\" ignore on purpose") {
    CHECK(in_process([] {
              sigset_t all;
              sigfillset(&all);
              ::sigprocmask(SIG_SETMASK, &all, nullptr);
              for (int number = 1; number < NSIG; ++number)
                  ::signal(number, SIG_IGN);
              os::harden_process();
              sigset_t blocked;
              ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
              int wrong = 0;
              for (int number = 1; number < NSIG; ++number) {
                  const bool stays =
                      number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGPIPE;
                  struct sigaction now = {};
                  if (::sigaction(number, nullptr, &now) == 0 && (now.sa_handler == SIG_IGN) != stays)
                      ++wrong;
                  if (sigismember(&blocked, number) == 1)
                      ++wrong;
              }
              return wrong;
          }) == 0);
}

TEST_CASE("a signal that was ignored at the start is told from one that was not") {
    CHECK(in_process([] {
              os::undo_harden_before_exec(); // of the test before, in this same process
              ::signal(SIGHUP, SIG_IGN);
              ::signal(SIGTERM, SIG_DFL);
              os::harden_process();
              return os::was_ignored_at_start(SIGHUP) && !os::was_ignored_at_start(SIGTERM) &&
                             !os::was_ignored_at_start(SIGPIPE)
                         ? 7
                         : 1;
          }) == 7);
}

TEST_CASE("standard descriptors that are closed are taken, and what is printed there is lost with an error") {
    CHECK(in_process([] {
              for (const int fd : {0, 1, 2})
                  ::close(fd);
              os::harden_process();
              for (const int fd : {0, 1, 2})
                  if (::fcntl(fd, F_GETFD) < 0 || ::write(fd, "x", 1) != -1)
                      return 1;
              char byte = 0;
              return ::read(0, &byte, 1) == 0 && ::open("/dev/null", O_RDONLY) == 3 ? 0 : 2;
          }) == 0);
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

TEST_CASE("the limit of descriptors goes up to what the system allows") {
    CHECK(in_process([] {
              rlimit limit{.rlim_cur = 64, .rlim_max = 128};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              os::raise_descriptor_limit();
              ::getrlimit(RLIMIT_NOFILE, &limit);
              return limit.rlim_cur == 128 && limit.rlim_max == 128 ? 0 : 1;
          }) == 0);
}

TEST_CASE("each descriptor that is opened is one less to open") {
    const auto before = os::free_descriptors();
    const UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
        two(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(os::free_descriptors() + 2 == before);
}
