// SPDX-License-Identifier: MIT
#include "tpm/device.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/shell_word.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace sshtpm::tpm {

namespace {

// An entry of the databases of users and groups is not longer, or counts as missing. This runs on the TPM's
// thread, beside other threads.
using EntryBuffer = std::array<char, std::size_t{64} * 1024>;

std::string name_of_group(gid_t group) {
    EntryBuffer buffer{};
    ::group entry{}, *found = nullptr;
    ::getgrgid_r(group, &entry, buffer.data(), buffer.size(), &found);
    return found != nullptr ? found->gr_name : std::to_string(group);
}

bool is_in_process(gid_t group) {
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    groups.resize(
        static_cast<std::size_t>(std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
    return ::getegid() == group || std::ranges::find(groups, group) != groups.end();
}

/// Whether the user database has this user in the group.
bool is_member(gid_t group) {
    EntryBuffer buffer{};
    ::passwd entry{}, *user = nullptr;
    ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &user);
    if (user == nullptr)
        return false;
    std::array<gid_t, 1024> groups{};
    int count = static_cast<int>(groups.size());
    if (::getgrouplist(user->pw_name, user->pw_gid, groups.data(), &count) < 0)
        return false;
    return std::find(groups.begin(), groups.begin() + count, group) != groups.begin() + count;
}

Error permission_error(const std::string& path) {
    struct stat status = {};
    constexpr mode_t read_write = S_IRGRP | S_IWGRP;
    const auto error = [&](const std::string& reason, std::string hint) {
        return Error(Errc::permission, "no permission to use the TPM at " + path + ": " + reason,
                     std::move(hint));
    };
    if (::stat(path.c_str(), &status) != 0)
        return error("its folder is closed to this user",
                     "`namei -l " + shell_word(path) + "` shows the permissions");
    const auto group = name_of_group(status.st_gid);
    if ((status.st_mode & read_write) != read_write || status.st_gid == 0)
        return error("its group, " + group + ", is none that users can join",
                     "install the udev rules of tpm2-tss (`sudo apt install tpm-udev` on Debian), then "
                     "`sudo udevadm trigger`");
    if (!is_member(status.st_gid))
        return error("this user is not in the group " + group,
                     "`sudo usermod -aG " + group + " \"$USER\"`, then log out and in again");
    if (!is_in_process(status.st_gid)) // as a user's systemd that outlived the logout
        return error(
            "this user is in the group " + group + ", but this login session is older",
            "log out of all sessions (`loginctl terminate-user \"$USER\"` ends them) and in again; `newgrp " +
                group + "` gives one shell the group");
    return error("its permissions deny it", "`getfacl " + shell_word(path) + "` shows them");
}

} // namespace

void require_access(const std::string& path) {
    if (::access(path.c_str(), R_OK | W_OK) == 0)
        return;
    if (errno == EPERM) // the modes of files give EACCES
        throw Error(Errc::refused, "the device policy of this service denies the TPM at " + path,
                    "a device that comes after the service needs `DeviceAllow=char-tpm rw` in its unit");
    if (errno == EACCES)
        throw permission_error(path);
    throw Error(Errc::not_found, "no TPM at " + path,
                "enable the TPM in the firmware settings, or use --swtpm to try things out with an emulator");
}

UniqueFd open_device(const std::string& path) {
    require_access(path);
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0 && !S_ISCHR(status.st_mode))
        throw Error(Errc::usage, path + " is no device",
                    "a TPM is at /dev/tpmrm0; an emulator is named as swtpm:path=SOCKET");
    auto device = open_path(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (device)
        return device;
    if (errno == EBUSY)
        throw Error(Errc::tpm, "another program has the TPM at " + path + " open",
                    "use /dev/tpmrm0, which many programs can share, or end the other one: fuser -v " + path +
                        " shows it");
    throw Error::from_errno(errno, "the TPM at " + path);
}

} // namespace sshtpm::tpm
