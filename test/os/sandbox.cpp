// SPDX-License-Identifier: MIT
// The rest is tried in a whole agent: test/scenario/sandbox.py.

#include "os/sandbox.hpp"

#include "base/unique_fd.hpp"
#include "os/child.hpp"
#include "os/in_process.hpp"
#include "support/test.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <linux/io_uring.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;
namespace fs = std::filesystem;

namespace {

bool opens(const fs::path& path, int flags) {
    return static_cast<bool>(UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, 0600)));
}

/// False without Landlock, which these tests need.
bool enter(const os::SandboxRules& rules) {
    return os::enter_sandbox(rules) > 0;
}

bool maps_code() {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

/// The error of socket(2) for this family; 0 for none.
int error_of_socket(int family) {
    const UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return socket ? 0 : errno;
}

bool has_socket(int family) {
    return error_of_socket(family) == 0;
}

} // namespace

TEST_CASE("a sandbox leaves of each path what its rule says") {
    const TempFolder readable, writable, removable, other;
    for (const auto* folder : {&readable, &writable, &removable, &other})
        put(*folder / "old");
    CHECK(in_process([&] {
              if (!enter({.readable = {readable.path()},
                          .writable = {writable.path()},
                          .removable = removable.path()}))
                  return 1;
              if (!opens(readable / "old", O_RDONLY) || opens(readable / "old", O_WRONLY) ||
                  opens(readable / "new", O_WRONLY | O_CREAT) || ::unlink((readable / "old").c_str()) == 0)
                  return 2;
              if (!opens(writable / "old", O_RDWR | O_TRUNC) ||
                  !opens(writable / "new", O_WRONLY | O_CREAT) ||
                  ::rename((writable / "new").c_str(), (writable / "old").c_str()) != 0)
                  return 3;
              if (opens(removable / "old", O_RDONLY) || ::unlink((removable / "old").c_str()) != 0)
                  return 4;
              return opens(other / "old", O_RDONLY) || errno != EACCES ? 5 : 0;
          }) == 0);
}

TEST_CASE("a rule for a file gives no folder and no device, also by a link") {
    const TempFolder folder, other;
    put(folder / "file");
    put(folder / "beside");
    put(other / "file");
    fs::create_symlink(other.path(), folder / "link");
    fs::create_symlink("/dev/zero", folder / "device");
    CHECK(in_process([&] {
              if (!enter({.readable_files = {folder / "file", folder / "link", folder / "device"}}))
                  return 1;
              if (!opens(folder / "file", O_RDONLY) || opens(folder / "file", O_WRONLY))
                  return 2;
              for (const auto& path :
                   {folder / "beside", folder / "link/file", folder / "link", folder / "device"})
                  if (opens(path, O_RDONLY))
                      return 3;
              return 0;
          }) == 0);
}

TEST_CASE("a sandbox gives no way to change a file that may be read, or to signal by a descriptor") {
    const TempFolder readable;
    put(readable / "file");
    CHECK(in_process([&] {
              if (!enter({.readable = {readable.path()}}))
                  return 1;
              const UniqueFd file(::open((readable / "file").c_str(), O_RDONLY | O_CLOEXEC));
              for (const mode_t mode : {0666U, 0620U, 04700U, 01700U})
                  if (::fchmod(file.value(), mode) == 0)
                      return 2;
              if (::fsetxattr(file.value(), "user.x", "x", 1, 0) == 0)
                  return 3;
              return ::fcntl(file.value(), F_SETOWN, ::getpid()) == 0 ? 4 : 0;
          }) == 0);
}

TEST_CASE("a sandbox has sockets of other families, and new code, only where they are asked for") {
    CHECK(in_process([] {
              return enter({}) && has_socket(AF_UNIX) && !has_socket(AF_INET) && !maps_code() ? 0 : 1;
          }) == 0);
    CHECK(in_process([] {
              return enter({.network = true, .libraries = true}) && has_socket(AF_INET) && maps_code() ? 0
                                                                                                       : 1;
          }) == 0);
}

TEST_CASE("without new privileges, sockets stay") {
    CHECK(in_process([] {
              os::give_up_new_privileges();
              return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && error_of_socket(AF_INET) == 0 ? 0 : 1;
          }) == 0);
}

TEST_CASE("without the network, UNIX sockets are the only ones") {
    CHECK(in_process([] {
              os::give_up_network();
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
              const auto printed = read_all(child.output());
              return child.wait() == 0 && printed == std::to_string(EAFNOSUPPORT) + "\n" ? 0 : 1;
          }) == 0);
}
