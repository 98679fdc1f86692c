// SPDX-License-Identifier: MIT
// What a test with the whole program does not see of it: test/scenario/subprocess_mode.py has the rest.

#include "os/background.hpp"

#include "base/error.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <array>
#include <csignal>
#include <functional>
#include <poll.h>
#include <string>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

os::BackgroundParent start(const std::function<void(os::BackgroundChild&)>& in_child) {
    auto forked = os::fork_to_background();
    if (auto* child = std::get_if<os::BackgroundChild>(&forked)) {
        try {
            in_child(*child);
        } catch (const Error&) {
            ::_exit(90);
        }
        ::_exit(0);
    }
    return std::get<os::BackgroundParent>(std::move(forked));
}

std::string target_of(int fd) {
    std::array<char, 256> target{};
    const auto size =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    return size < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

} // namespace

TEST_CASE("a child that ends before it is ready has failed, whatever its exit status") {
    CHECK(start([](os::BackgroundChild&) { ::_exit(3); }).wait_until_ready() == 3);
    CHECK(start([](os::BackgroundChild&) { ::_exit(0); }).wait_until_ready() == 1);
    CHECK(start([](os::BackgroundChild&) { ::raise(SIGKILL); }).wait_until_ready() == 128 + SIGKILL);
}

TEST_CASE("a grandchild that lives on does not hide that the child has failed") {
    Pipe hold;
    auto parent = start([&](os::BackgroundChild&) {
        if (::fork() == 0) { // with the child's end of the socket
            hold.writing.reset();
            char byte = 0;
            ::_exit(::read(hold.reading.value(), &byte, 1) == 0 ? 0 : 1);
        }
        ::_exit(4);
    });
    CHECK(parent.wait_until_ready() == 4);
}

TEST_CASE("a child has a session of its own, stands in / and has let go of stdin and stdout") {
    Pipe said;
    const auto stderr_before = target_of(STDERR_FILENO);
    auto parent = start([&](os::BackgroundChild& child) {
        std::array<char, 256> folder{};
        const std::string where = ::getcwd(folder.data(), folder.size()) != nullptr ? folder.data() : "";
        said.say(where + " " + (::getsid(0) == ::getpid() ? "own " : "inherited ") + target_of(STDIN_FILENO) +
                 " " + target_of(STDOUT_FILENO) + " " +
                 (target_of(STDERR_FILENO) == stderr_before ? "kept" : target_of(STDERR_FILENO)) + "\n");
        child.ready();
        said.say(target_of(STDERR_FILENO));
    });
    CHECK(parent.wait_until_ready() == std::nullopt);
    parent.let_live();
    CHECK(said.heard() == "/ own /dev/null /dev/null kept\n/dev/null");
    CHECK(::waitpid(parent.child(), nullptr, 0) == parent.child());
}

TEST_CASE("a child that is ready does not live on when its parent is killed before it has told anybody") {
    Pipe said;
    CHECK(in_process([&] {
              auto parent = start([&](os::BackgroundChild& child) {
                  try {
                      child.ready();
                      said.say("lives on");
                  } catch (const Error& error) {
                      said.say(error.what());
                  }
              });
              if (parent.wait_until_ready())
                  return 1;
              return ::raise(SIGKILL);
          }) == 128 + SIGKILL);
    CHECK(said.heard() == "the process that started this one has ended");
}

TEST_CASE("a child that has ended cannot be let live") {
    auto parent = start([](os::BackgroundChild& child) {
        child.ready();
        ::_exit(0);
    });
    CHECK(parent.wait_until_ready() == std::nullopt);
    ::kill(parent.child(), SIGKILL);
    REQUIRE(::waitpid(parent.child(), nullptr, 0) == parent.child());
    CHECK_THROWS_AS(parent.let_live(), Error);
}

TEST_CASE("a child whose parent is gone before it is ready is told so") {
    Pipe said;
    in_process([&] {
        start([&](os::BackgroundChild& child) {
            ::signal(SIGPIPE, SIG_IGN);
            pollfd ended{.fd = child.parent_pidfd(), .events = POLLIN, .revents = 0};
            ::poll(&ended, 1, 10'000);
            try {
                child.ready();
            } catch (const Error& error) {
                said.say(error.what());
            }
        });
        return 0;
    });
    CHECK(said.heard() == "the process that started this one has ended");
}
