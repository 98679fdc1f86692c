// SPDX-License-Identifier: MIT
#include "os/systemd.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"
#include "os/in_process.hpp"
#include "os/unix_socket.hpp"
#include "support/test.hpp"
#include "support/variable.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;
using namespace std::chrono_literals;

namespace {

enum class Descriptor { listening, connected, datagram, internet, file, closed };

/// Makes descriptor 3 what the test wants it to be. In the forked process only.
void pass(Descriptor what, const std::string& path) {
    ::close(os::first_passed_descriptor);
    int fd = -1;
    const auto address = os::unix_address(path);
    switch (what) {
    case Descriptor::listening:
        fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ::bind(fd, os::generic(address), sizeof address);
        ::listen(fd, 1);
        break;
    case Descriptor::connected:
        fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        break;
    case Descriptor::datagram:
        fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
        ::bind(fd, os::generic(address), sizeof address);
        break;
    case Descriptor::internet:
        fd = ::socket(AF_INET, SOCK_STREAM, 0);
        ::listen(fd, 1);
        break;
    case Descriptor::file:
        fd = ::open("/dev/null", O_RDONLY);
        break;
    case Descriptor::closed:
        return;
    }
    if (fd != os::first_passed_descriptor) {
        ::dup2(fd, os::first_passed_descriptor);
        ::close(fd);
    }
}

const int usage_error = status_of_error(Errc::usage);

int nothing_more() {
    return 0;
}

int status_of(Descriptor what, const char* count, int (*after)() = nothing_more) {
    const TempFolder folder;
    return in_process([&] {
        pass(what, (folder / "socket").string());
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", count, 1);
        ::setenv("LISTEN_FDNAMES", "agent.socket", 1);
        const auto socket = os::activated_socket();
        if (!socket || socket->value() != os::first_passed_descriptor)
            return 1;
        return after();
    });
}

/// The service manager's end: a datagram socket that keeps what it is told.
class Manager {
  public:
    explicit Manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const auto address = os::parse_notify_socket(name);
        REQUIRE(address.has_value());
        REQUIRE(::bind(socket_.value(), os::generic(address->address), address->size) == 0);
    }

    /// The next message; "" when there is none.
    std::string take() const {
        std::array<char, 512> buffer{};
        const auto got = ::recv(socket_.value(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        return got < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(got));
    }

  private:
    UniqueFd socket_;
};

std::string own_pid() {
    return std::to_string(::getpid());
}

void speak(const std::string& name) {
    const Manager manager(name);
    const Variable variable("NOTIFY_SOCKET", name.c_str());
    const auto notifier = os::Notifier::from_environment();
    REQUIRE(notifier);
    notifier.ready("Serving 2 keys");
    CHECK(manager.take() == "READY=1\nSTATUS=Serving 2 keys");
    notifier.status("Serving 1 key");
    CHECK(manager.take() == "STATUS=Serving 1 key");
    notifier.feed_watchdog();
    CHECK(manager.take() == "WATCHDOG=1");
    notifier.stopping();
    CHECK(manager.take() == "STOPPING=1\nSTATUS=Ending");
    CHECK(manager.take().empty());
}

} // namespace

TEST_CASE(
    "the socket that systemd passes is taken, and no child gets it or takes the variables for its own") {
    CHECK(status_of(Descriptor::listening, "1", [] {
              const int fd = os::first_passed_descriptor;
              if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0 || (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
                  return 2;
              for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
                  if (os::variable(name))
                      return 3;
              return os::activated_socket() ? 4 : 0;
          }) == 0);
}

TEST_CASE("without LISTEN_FDS there is no such socket") {
    CHECK(in_process([] {
              ::unsetenv("LISTEN_FDS");
              ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
              return os::activated_socket() ? 1 : 0;
          }) == 0);
}

TEST_CASE("another number of sockets than one is refused") {
    for (const char* count : {"0", "2", "", "-1", "01", "1 ", "one", "4294967297"}) {
        INFO(count);
        CHECK(status_of(Descriptor::listening, count) == usage_error);
    }
}

TEST_CASE("sockets for another process are left alone, and its variables are taken away all the same") {
    for (const char* pid : {"1", static_cast<const char*>(nullptr)}) {
        CHECK(in_process([&] {
                  ::unsetenv("LISTEN_PID");
                  if (pid != nullptr)
                      ::setenv("LISTEN_PID", pid, 1);
                  for (const char* name : {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"})
                      ::setenv(name, "2", 1);
                  if (os::activated_socket())
                      return 1;
                  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"})
                      if (os::variable(name))
                          return 2;
                  return 0;
              }) == 0);
    }
}

TEST_CASE("a LISTEN_PID that is no process is refused") {
    for (const char* pid : {"", "0", "-1", "x", "1x", "99999999999"}) {
        INFO(pid);
        CHECK(in_process([&] {
                  ::setenv("LISTEN_PID", pid, 1);
                  ::setenv("LISTEN_FDS", "1", 1);
                  os::activated_socket();
                  return 0;
              }) == usage_error);
    }
}

TEST_CASE("a descriptor that is not a listening UNIX stream socket is refused") {
    for (const auto what : {Descriptor::connected, Descriptor::datagram, Descriptor::internet,
                            Descriptor::file, Descriptor::closed})
        CHECK(status_of(what, "1") == usage_error);
}

TEST_CASE("a service manager hears each message, in a datagram of its own") {
    const TempFolder folder;
    speak((folder / "notify").string());
}

TEST_CASE("an abstract socket is written with an @") {
    speak("@ssh-tpm-test-notify-" + own_pid());
}

TEST_CASE("the variables are gone afterwards: no child speaks in this process's name") {
    const TempFolder folder;
    const Manager manager((folder / "notify").string());
    const Variable socket("NOTIFY_SOCKET", (folder / "notify").c_str());
    const Variable interval("WATCHDOG_USEC", "2000000");
    const Variable process("WATCHDOG_PID", own_pid().c_str());
    const auto notifier = os::Notifier::from_environment();
    CHECK(notifier.watchdog() == 2s);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
        CHECK_FALSE(os::variable(name));
    CHECK_FALSE(os::Notifier::from_environment());
}

TEST_CASE("without a socket nobody is told, and no watchdog is fed") {
    const Variable interval("WATCHDOG_USEC", "2000000");
    const os::Notifier silent;
    for (const char* name : {"", "notify", "@", "/", "vsock:2:1234"}) {
        INFO(name);
        const Variable socket("NOTIFY_SOCKET", name);
        const auto notifier = os::Notifier::from_environment();
        CHECK_FALSE(notifier);
        CHECK_FALSE(notifier.watchdog());
        notifier.ready("nobody hears this");
    }
    CHECK_FALSE(silent);
}

TEST_CASE("a manager that is not there, or does not read, costs nothing but the message") {
    const TempFolder folder;
    const auto path = (folder / "notify").string();
    const Variable absent("NOTIFY_SOCKET", path.c_str());
    const auto notifier = os::Notifier::from_environment();
    notifier.ready("nobody there");
    const Manager deaf(path);
    for (int i = 0; i < 10'000; ++i) // far more than a socket's queue holds
        notifier.feed_watchdog();
    CHECK(deaf.take() == "WATCHDOG=1");
}

TEST_CASE("the longest name of a socket is taken, and a longer one is not") {
    for (const char first : {'/', '@'}) {
        const auto longest = std::string(1, first) + std::string(106, 'n');
        CHECK(os::parse_notify_socket(longest).has_value());
        CHECK_FALSE(os::parse_notify_socket(longest + "n"));
    }
}

TEST_CASE("the watchdog's interval is a number above 0, for this process") {
    CHECK(os::parse_watchdog("1", std::nullopt) == 1us);
    CHECK(os::parse_watchdog("30000000", own_pid()) == 30s);
    for (const char* interval : {"", "0", "-1", "1s", " 1", "1 ", "0x10", "99999999999999999999"}) {
        INFO(interval);
        CHECK_FALSE(os::parse_watchdog(interval, std::nullopt));
    }
    for (const char* process : {"1", "", "0", "-1", "x"}) {
        INFO(process);
        CHECK_FALSE(os::parse_watchdog("30000000", std::string(process)));
    }
}
