// SPDX-License-Identifier: MIT
#include "os/opener.hpp"

#include "os/in_process.hpp"
#include "os/sandbox.hpp"
#include "os/unix_socket.hpp"
#include "support/test.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;
namespace fs = std::filesystem;

namespace {

constexpr int reading = O_RDONLY | O_CLOEXEC;

/// The errno of opening it; 0 if it opens.
int error_of(os::FileOpener& opener, const fs::path& path, int flags = reading) {
    errno = 0;
    return opener.open(path, flags) ? 0 : errno;
}

} // namespace

TEST_CASE("an opener opens key files, certificates and folders of the key folder alone") {
    const TempFolder folder, elsewhere;
    const auto keys = folder / "keys";
    os::FileOpener opener({.key_folder = keys});
    CHECK(error_of(opener, keys, reading | O_DIRECTORY) == ENOENT);
    fs::create_directories(keys / "sub"); // a folder that comes later
    for (const char* name : {"a.tpm", "a-cert.pub", "id_rsa", "sub/b.tpm"})
        put(keys / name);
    put(elsewhere / "real");
    fs::create_symlink(elsewhere / "real", keys / "link.tpm");
    for (const char* name : {"a.tpm", "a-cert.pub", "sub/b.tpm", "link.tpm"})
        CHECK(error_of(opener, keys / name) == 0);
    CHECK(error_of(opener, keys / "missing.tpm") == ENOENT);
    CHECK(error_of(opener, keys, reading | O_DIRECTORY) == 0);
    CHECK(error_of(opener, keys / "sub", reading | O_DIRECTORY) == 0);
    put(folder / "c.tpm");
    for (const auto& path : {keys / "id_rsa", elsewhere / "real", folder / "c.tpm", keys / ".." / "c.tpm",
                             fs::path("/etc/passwd"), fs::path("/proc/self/mem")})
        CHECK(error_of(opener, path) == EACCES);
    for (const auto& path : {folder.path(), keys / ".."})
        CHECK(error_of(opener, path, reading | O_DIRECTORY) == EACCES);
}

TEST_CASE("an opener gives no way to write, and no file of another kind") {
    const TempFolder keys;
    put(keys / "a.tpm");
    REQUIRE(::mkfifo((keys / "fifo.tpm").c_str(), 0600) == 0);
    fs::create_directory(keys / "folder.tpm");
    os::FileOpener opener({.key_folder = keys.path(), .device = "/dev/zero"});
    const auto key = opener.open(keys / "a.tpm", O_RDONLY);
    REQUIRE(key);
    CHECK((::fcntl(key.value(), F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK((::fcntl(key.value(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(error_of(opener, keys / "a.tpm", O_RDWR) == EACCES);
    CHECK(error_of(opener, keys / "fifo.tpm") == EACCES);
    CHECK(error_of(opener, keys / "folder.tpm") == EACCES);
    CHECK(error_of(opener, "/dev/zero", O_RDWR) == 0);
    CHECK(error_of(opener, "/dev/null", O_RDWR) == EACCES);
    CHECK(error_of(opener, "/proc/" + std::to_string(::getpid()) + "/stat") == 0);
}

TEST_CASE("an opener removes the socket that was there at its start, and nothing else") {
    const TempFolder folder;
    const auto own = folder / "agent.sock", other = folder / "other";
    const auto bound_socket = [](const fs::path& path) {
        UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto address = os::unix_address(path.native());
        REQUIRE(::bind(socket.value(), os::generic(address), sizeof address) == 0);
        return socket;
    };
    const auto socket = bound_socket(own), others = bound_socket(other);
    os::FileOpener opener({.own_socket = own});
    CHECK_FALSE(opener.unlink(other));
    CHECK(errno == EACCES);
    fs::rename(own, folder / "kept"); // so that no other file gets its number
    CHECK_FALSE(opener.unlink(own));
    CHECK(errno == ENOENT);
    fs::rename(other, own);
    CHECK_FALSE(opener.unlink(own));
    CHECK(errno == EACCES);
    fs::rename(folder / "kept", own);
    CHECK(opener.unlink(own));
    CHECK_FALSE(fs::exists(own));
}

TEST_CASE("an opener that does not answer is asked nothing more") {
    const TempFolder keys;
    put(keys / "a.tpm");
    os::FileOpener opener({.key_folder = keys.path(), .own_socket = keys / "agent.sock"});
    pid_t pid = 0; // the latest of this process
    for (std::ifstream children("/proc/thread-self/children"); children >> pid;) {
    }
    REQUIRE(pid > 0);
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    CHECK_FALSE(opener.unlink(keys / "agent.sock"));
    REQUIRE(::kill(pid, SIGCONT) == 0);
    CHECK(error_of(opener, keys / "a.tpm") == EIO); // and gets no reply to another request
}

TEST_CASE("without a right of its own, a process has its opener remove a file") {
    CHECK(in_process([] {
              const TempFolder folder;
              const auto own = folder / "agent.sock";
              const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
              const auto address = os::unix_address(own.native());
              if (::bind(socket.value(), os::generic(address), sizeof address) != 0)
                  return 1;
              const os::FileOpener opener({.own_socket = own});
              if (os::enter_sandbox({}) < 1)
                  return 2;
              if (::unlink(own.c_str()) == 0)
                  return 3;
              return unlink_path(own) && ::access(own.c_str(), F_OK) != 0 ? 0 : 4;
          }) == 0);
}
