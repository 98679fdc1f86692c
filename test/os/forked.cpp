// SPDX-License-Identifier: MIT
#include "os/forked.hpp"

#include "os/child.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <array>
#include <poll.h>
#include <stdexcept>
#include <string>
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
