// SPDX-License-Identifier: MIT
#include "os/child.hpp"

#include "base/error.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/variable.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <signal.h>
#include <string>
#include <tuple>
#include <unistd.h>
#include <vector>

using namespace sshtpm;
using namespace support;

TEST_CASE("a child's output is read from its pipe and its exit status is told") {
    os::Child child({"sh", "-c", "echo \"$GREETING $1\"; exit 3", "sh", "world"}, {"GREETING=hello"});
    CHECK(read_all(child.output()) == "hello world\n");
    pollfd ended{.fd = child.pidfd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&ended, 1, 10'000) == 1);
    CHECK(child.wait() == 3);
}

TEST_CASE("a variable can be kept from a child") {
    const Variable inherited("SSH_TPM_TEST_A", "ours");
    os::Child with({"sh", "-c", "echo \"<${SSH_TPM_TEST_A-none}>\""}, {});
    CHECK(read_all(with.output()) == "<ours>\n");
    os::Child without({"sh", "-c", "echo \"<${SSH_TPM_TEST_A-none}>\""}, {"SSH_TPM_TEST_A"});
    CHECK(read_all(without.output()) == "<none>\n");
}

TEST_CASE(
    "arguments reach a child without a shell looking at them, its input is empty, a signal is its status") {
    for (const auto& [command, output, status] :
         std::vector<std::tuple<std::vector<std::string>, std::string, int>>{
             {{"printf", "%s", "$(id); *"}, "$(id); *", 0},
             {{"cat"}, "", 0},
             {{"sh", "-c", "kill -TERM $$"}, "", 128 + SIGTERM}}) {
        os::Child child(command, {});
        CHECK(read_all(child.output()) == output);
        CHECK(child.wait() == status);
    }
}

TEST_CASE("a child whose status the system does not keep has not succeeded") {
    CHECK(in_process([] {
              ::signal(SIGCHLD, SIG_IGN);
              os::Child child({"head", "-c", "1000000", "/dev/zero"}, {}); // until its output is read
              read_all(child.output());
              return child.wait() == os::Child::lost_status ? 7 : 1;
          }) == 7);
}

TEST_CASE("a child has all signals at their defaults and none blocked, whatever we have") {
    Pipe said;
    const int status = in_process([&] {
        sigset_t all;
        sigfillset(&all);
        ::sigprocmask(SIG_SETMASK, &all, nullptr);
        for (int number = 1; number < NSIG; ++number)
            if (number != SIGCHLD)
                ::signal(number, SIG_IGN);
        os::Child child({"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}, {});
        said.say(read_all(child.output()));
        return child.wait();
    });
    CHECK(status == 0);
    // 32 and 33 are glibc's own: posix_spawn of glibc 2.36 has them ignored, that of 2.41 does not.
    const auto heard = said.heard();
    INFO(heard);
    CHECK((heard == "SigBlk:\t0000000000000000\nSigIgn:\t0000000180000000\n" ||
           heard == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
}

TEST_CASE("a program that is not there is an error") {
    CHECK_THROWS_AS(os::Child({"/nonexistent/askpass"}, {}), Error);
}

TEST_CASE("a child that ignores SIGTERM is gone all the same when its owner goes") {
    pid_t pid = 0;
    {
        os::Child child({"sh", "-c", "trap '' TERM; echo $$; exec sleep 600"}, {});
        std::array<char, 32> line{};
        REQUIRE(::read(child.output(), line.data(), line.size() - 1) > 0);
        pid = static_cast<pid_t>(std::stol(line.data()));
    }
    CHECK(::kill(pid, 0) == -1);
    CHECK(errno == ESRCH);
}

TEST_CASE("a program runs to its end, and its output and its errors are kept apart") {
    using namespace std::chrono_literals;
    const auto run = [](const char* script, std::chrono::milliseconds limit) {
        return os::output_of({"sh", "-c", script}, {"GREETING=hello"}, limit, 10);
    };
    const auto done = run("echo $GREETING; echo oh >&2; exit 3", 60s);
    REQUIRE(done);
    CHECK(std::tie(done->status, done->output, done->errors) == std::tuple(3, "hello\n", "oh\n"));
    CHECK_FALSE(run("exec sleep 60", 10ms));
    for (const auto* script : {"echo 0123456789", "echo 0123456789 >&2"})
        CHECK(refusal([&] { run(script, 60s); }) == Errc::malformed);
    CHECK(refusal([] { os::output_of({"no-such-program"}, {}, 1s, 10); }) == Errc::not_found);
}
