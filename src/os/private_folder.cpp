// SPDX-License-Identifier: MIT
#include "os/private_folder.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <linux/magic.h>
#include <stdlib.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>

namespace sshtpm::os {

namespace {

/// ssh adds 17 bytes to the name of a socket, which has 107 at most.
constexpr std::size_t longest_parent = 60;

bool is_in_memory(const std::string& folder) {
    struct statfs system {};
    return ::statfs(folder.c_str(), &system) == 0 && system.f_type == TMPFS_MAGIC;
}

/// Nobody else but root can rename what this user makes there.
bool is_safe(const std::string& folder) {
    struct stat status {};
    return ::stat(folder.c_str(), &status) == 0 &&
           (status.st_uid == ::geteuid() ||
            (status.st_uid == 0 && ((status.st_mode & S_ISVTX) != 0 || (status.st_mode & 022U) == 0)));
}

std::filesystem::path make_folder(PrivateFolder::Place place) {
    for (const auto& parent : {variable("XDG_RUNTIME_DIR").value_or(""), std::string("/dev/shm"),
                               std::string("/run"), std::string("/tmp")}) {
        if (!parent.starts_with('/') || parent.size() > longest_parent || !is_safe(parent) ||
            (place == PrivateFolder::Place::in_memory && !is_in_memory(parent)))
            continue;
        auto name = parent + "/ssh-tpm-XXXXXX";
        if (::mkdtemp(name.data()) != nullptr)
            return name;
    }
    if (place == PrivateFolder::Place::in_memory)
        throw Error(Errc::io, "there is no folder in memory",
                    "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR");
    throw Error(Errc::io, "no folder could be made in /tmp");
}

/// Also if a program that ends at this moment still writes there.
void remove_folder(const std::filesystem::path& folder) {
    constexpr int most_tries = 100;
    std::error_code failure(ENOTEMPTY, std::generic_category());
    for (int i = 0; i < most_tries && failure; ++i)
        std::filesystem::remove_all(folder, failure);
}

void await_end(int socket) {
    char none = 0;
    uninterrupted([&] { return ::read(socket, &none, 1); });
}

} // namespace

PrivateFolder::PrivateFolder(Place place, const std::function<void()>& before_removal)
    : path_(make_folder(place)), remover_("ssh-tpm-remover", [&](UniqueFd socket) {
          ::setpgid(0, 0); // signals of the terminal shall not end the programs that it starts
          await_end(socket.value());
          try { // caught because the folder must go in any case
              before_removal();
          } catch (...) {
          }
          remove_folder(path_);
      }) {}

PrivateFolder::~PrivateFolder() {
    ::shutdown(remover_.socket(), SHUT_WR);
    await_end(remover_.socket());
    remove_folder(path_); // the companion may have been killed
}

} // namespace sshtpm::os
