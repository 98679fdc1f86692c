// SPDX-License-Identifier: MIT
#include "os/forked.hpp"

#include "os/child.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

void write_text(int descriptor, const std::string& text) {
    if (::write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw std::runtime_error("write");
}

} // namespace

TEST_CASE("a copy of the process hands over what its work writes") {
    const os::ForkedChild copy([](int results) { write_text(results, "done in another process"); });
    CHECK(read_all(copy.pipe()) == "done in another process");
}

TEST_CASE("the results of work that throws end there") {
    const os::ForkedChild copy([](int results) {
        write_text(results, "half");
        throw std::runtime_error("no more");
    });
    CHECK(read_all(copy.pipe()) == "half");
}

TEST_CASE("a copy has no standard descriptors of its parent") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reading(ends[0]);
    UniqueFd saved(::dup(STDERR_FILENO));
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
    const os::ForkedChild copy([](int) { write_text(STDERR_FILENO, "lost"); });
    ::dup2(saved.value(), STDERR_FILENO);
    CHECK(read_all(copy.pipe()).empty());
    CHECK(read_all(reading.value()).empty());
}

TEST_CASE("work that never ends is killed with its owner") {
    UniqueFd pidfd;
    {
        const os::ForkedChild copy([](int results) {
            write_text(results, std::to_string(::getpid()) + "\n");
            for (;;)
                ::pause();
        });
        std::string pid;
        for (char c = 0; ::read(copy.pipe(), &c, 1) == 1 && c != '\n';)
            pid.push_back(c);
        pidfd = os::open_pidfd(std::stoi(pid));
        REQUIRE(pidfd);
    }
    pollfd ended{.fd = pidfd.value(), .events = POLLIN, .revents = 0};
    CHECK(::poll(&ended, 1, 10'000) == 1);
}

namespace {

struct AboutCompanion {
    pid_t pid = 0;
    int free_descriptor = -1; ///< the first
};

void tell_about_itself(UniqueFd socket) {
    char request = 0;
    while (::recv(socket.value(), &request, 1, 0) > 0) {
        const UniqueFd free(::dup(socket.value()));
        const AboutCompanion about{.pid = ::getpid(), .free_descriptor = free.value()};
        ::send(socket.value(), &about, sizeof about, MSG_NOSIGNAL);
    }
}

AboutCompanion ask(const os::Companion& companion) {
    AboutCompanion about;
    REQUIRE(::send(companion.socket(), "?", 1, MSG_NOSIGNAL) == 1);
    REQUIRE(::recv(companion.socket(), &about, sizeof about, 0) == sizeof about);
    return about;
}

} // namespace

TEST_CASE("a companion has no other descriptors, and ignores the signals that end this process") {
    const UniqueFd other(::open("/dev/null", O_RDONLY));
    UniqueFd ended;
    {
        const os::Companion companion("companion", tell_about_itself);
        const auto about = ask(companion);
        CHECK(about.free_descriptor == STDERR_FILENO + 2);
        for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU})
            ::kill(about.pid, number);
        CHECK(ask(companion).pid == about.pid);
        ended = os::open_pidfd(about.pid);
    }
    pollfd end{.fd = ended.value(), .events = POLLIN, .revents = 0};
    CHECK(::poll(&end, 1, 0) == 1);
}

TEST_CASE("the socket of a companion that fails is at its end") {
    const os::Companion companion("companion", [](UniqueFd) { throw std::runtime_error("fails"); });
    char answer = 0;
    CHECK(::recv(companion.socket(), &answer, 1, 0) == 0);
}
