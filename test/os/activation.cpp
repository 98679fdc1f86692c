#include "os/activation.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"
#include "os/in_process.hpp"
#include "os/unix_socket.hpp"
#include "support/test.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

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

TEST_CASE("sockets for another process are refused, and its variables are taken away all the same") {
    for (const char* pid : {"1", "", "0", "-1", "x"}) {
        INFO(pid);
        CHECK(in_process([&] {
                  ::setenv("LISTEN_PID", pid, 1);
                  ::setenv("LISTEN_FDS", "1", 1);
                  try {
                      os::activated_socket();
                  } catch (const Error& error) {
                      return os::variable("LISTEN_FDS") ? 1 : status_of_error(error.code());
                  }
                  return 0;
              }) == usage_error);
    }
    CHECK(in_process([] {
              ::unsetenv("LISTEN_PID");
              ::setenv("LISTEN_FDS", "1", 1);
              os::activated_socket();
              return 0;
          }) == usage_error);
}

TEST_CASE("a descriptor that is not a listening UNIX stream socket is refused") {
    for (const auto what : {Descriptor::connected, Descriptor::datagram, Descriptor::internet,
                            Descriptor::file, Descriptor::closed})
        CHECK(status_of(what, "1") == usage_error);
}
