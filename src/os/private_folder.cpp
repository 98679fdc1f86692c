// SPDX-License-Identifier: MIT
#include "os/private_folder.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"

#include <linux/magic.h>
#include <stdlib.h>
#include <string>
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

} // namespace

PrivateFolder::PrivateFolder(Place place) {
    for (const auto& parent : {variable("XDG_RUNTIME_DIR").value_or(""), std::string("/dev/shm"),
                               std::string("/run"), std::string("/tmp")}) {
        if (!parent.starts_with('/') || parent.size() > longest_parent || !is_safe(parent) ||
            (place == Place::in_memory && !is_in_memory(parent)))
            continue;
        auto name = parent + "/ssh-tpm-XXXXXX";
        if (::mkdtemp(name.data()) != nullptr) {
            path_ = name;
            return;
        }
    }
    if (place == Place::in_memory)
        throw Error(Errc::io, "there is no folder in memory",
                    "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR");
    throw Error(Errc::io, "no folder could be made in /tmp");
}

PrivateFolder::~PrivateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace sshtpm::os
