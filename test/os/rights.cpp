// SPDX-License-Identifier: MIT
#include "os/rights.hpp"

#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/in_process.hpp"
#include "support/catch.hpp"

#include <array>
#include <cerrno>
#include <linux/io_uring.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace sshtpm;
using support::in_process;

namespace {

/// The error of socket(2) for this family; 0 for none.
int error_of_socket(int family) {
    const UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return socket ? 0 : errno;
}

} // namespace

TEST_CASE("without new privileges, sockets stay") {
    CHECK(in_process([] {
              os::give_up_new_privileges();
              return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && error_of_socket(AF_INET) == 0 ? 0 : 1;
          }) == 0);
}

TEST_CASE("without the network, UNIX sockets are the only ones") {
    CHECK(in_process([] {
              if (!os::give_up_network())
                  return 1;
              for (const int family :
                   {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_BLUETOOTH, 1 << 16})
                  if (error_of_socket(family) != EAFNOSUPPORT)
                      return 2;
              std::array<int, 2> pair{};
              if (::socketpair(AF_TIPC, SOCK_STREAM, 0, pair.data()) == 0 || errno != EAFNOSUPPORT)
                  return 3;
              if (error_of_socket(AF_UNIX) != 0 || ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0)
                  return 4;
              return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 5;
          }) == 0);
}

TEST_CASE("without the network, io_uring makes no sockets either") {
    CHECK(in_process([] {
              io_uring_params parameters{};
              os::give_up_network();
              return ::syscall(SYS_io_uring_setup, 1, &parameters) == -1 && errno == EPERM ? 0 : 1;
          }) == 0);
}

TEST_CASE("without the network, programs run and have none") {
    CHECK(in_process([] {
              os::give_up_network();
              const std::string script = "import socket\n"
                                         "socket.socket(socket.AF_UNIX)\n"
                                         "try: socket.socket(socket.AF_INET)\n"
                                         "except OSError as error: print(error.errno)\n";
              os::Child child({"python3", "-c", script}, {});
              const auto printed = support::read_all(child.output());
              return child.wait() == 0 && printed == std::to_string(EAFNOSUPPORT) + "\n" ? 0 : 1;
          }) == 0);
}
