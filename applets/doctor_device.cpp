// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the device of the TPM, its driver, and the right to use it.

#include "applets/doctor.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"

#include <algorithm>
#include <array>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Verdict;

const fs::path tpm_class = "/sys/class/tpm";

/// The first line of a file in sysfs; empty if it cannot be read.
std::string line_of(const fs::path& file) {
    try { // caught because older kernels have fewer files
        const auto content = read_file(file, 4096);
        auto text = text_of(content);
        return std::string(take_line(text));
    } catch (const Error&) {
        return {};
    }
}

/// "tpm0" for "/dev/tpm0" and "/dev/tpmrm0".
std::string chip_of(const fs::path& device) {
    auto name = device.filename().string();
    if (name.starts_with("tpmrm"))
        name.erase(3, 2);
    return name;
}

/// "tpm_crb"; empty if the system does not tell.
std::string driver_of(const std::string& chip) {
    std::error_code ignored;
    return fs::read_symlink(tpm_class / chip / "device" / "driver", ignored).filename().string();
}

cli::Finding missing_device(const fs::path& device) {
    std::error_code ignored;
    const auto subject = device.string();
    const auto chip = chip_of(device);
    const bool driven = !chip.empty() && fs::exists(tpm_class / chip, ignored);
    if (driven && line_of(tpm_class / chip / "tpm_version_major") == "1")
        return {Verdict::fail, "tpm-device", subject,
                "the TPM of this machine is a TPM 1.2, and ssh-tpm needs a TPM 2.0",
                "some machines switch it to 2.0 in the firmware (BIOS/UEFI) setup; `ssh-tpm keygen --swtpm` "
                "tries "
                "ssh-tpm with an emulator"};
    const auto raw = device.parent_path() / chip;
    if (device.filename() != chip && fs::exists(raw, ignored))
        return {Verdict::fail, "tpm-device", subject,
                "the kernel has no resource manager for the TPM, which came with Linux 4.12",
                "one program at a time can use the TPM without it: `ssh-tpm keygen --tcti device:" +
                    raw.string() + "`"};
    if (driven)
        return {Verdict::fail, "tpm-device", subject, "the kernel has a TPM, but there is no device file",
                "`sudo udevadm trigger --subsystem-match=tpmrm` makes udev look again"};
    return {Verdict::fail, "tpm-device", subject, "no TPM",
            "enable the TPM in the firmware (BIOS/UEFI) setup, where it may be called fTPM, PTT or security "
            "device; `ssh-tpm keygen --swtpm` tries ssh-tpm with an emulator"};
}

std::string name_of_group(gid_t group) {
    const auto* const entry = ::getgrgid(group);
    return entry != nullptr ? entry->gr_name : std::to_string(group);
}

bool is_in_session(gid_t group) {
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    groups.resize(
        static_cast<std::size_t>(std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
    return ::getegid() == group || std::ranges::find(groups, group) != groups.end();
}

/// Whether the user database has this user in the group.
bool is_member(gid_t group) {
    const auto* const user = ::getpwuid(::geteuid());
    if (user == nullptr)
        return false;
    std::array<gid_t, 1024> groups{};
    int count = static_cast<int>(groups.size());
    if (::getgrouplist(user->pw_name, user->pw_gid, groups.data(), &count) < 0)
        return false;
    return std::find(groups.begin(), groups.begin() + count, group) != groups.begin() + count;
}

cli::Finding permission_of(const std::string& device, const struct stat& status) {
    const auto group = name_of_group(status.st_gid);
    if (::access(device.c_str(), R_OK | W_OK) == 0)
        return {Verdict::ok, "tpm-permission", device,
                is_root()                      ? "root may use it"
                : is_in_session(status.st_gid) ? "this user may use it, as a member of the group " + group
                                               : "this user may use it",
                ""};
    constexpr mode_t read_write = S_IRGRP | S_IWGRP;
    if ((status.st_mode & read_write) != read_write || status.st_gid == 0)
        return {Verdict::fail, "tpm-permission", device,
                "no permission, and its group, " + group + ", is none that users can join",
                "install the udev rules of tpm2-tss (`sudo apt install tpm-udev` on Debian), then "
                "`sudo udevadm trigger`"};
    if (is_member(status.st_gid) && !is_in_session(status.st_gid))
        return {Verdict::fail, "tpm-permission", device,
                "no permission: this user is in the group " + group + ", but this login session is older",
                "log out and in again; `newgrp " + group + "` gives one shell the group"};
    return {Verdict::fail, "tpm-permission", device, "no permission: this user is not in the group " + group,
            "`sudo usermod -aG " + group + " \"$USER\"`, then log out and in again"};
}

bool check_emulator(cli::Findings& findings, const fs::path& folder) {
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) {
        findings.add({Verdict::ok, "tpm-device", folder.string(), "an emulator, which protects nothing", ""});
        return true;
    }
    findings.add({Verdict::warn, "tpm-device", folder.string(), "the emulator was not used yet",
                  "`ssh-tpm keygen --swtpm` makes a key in it"});
    return false;
}

} // namespace

bool check_device(cli::Findings& findings, const tpm::Target& target) {
    constexpr std::string_view prefix = "device:";
    if (!target.emulator_state.empty())
        return check_emulator(findings, target.emulator_state);
    if (!target.tcti.starts_with(prefix)) {
        findings.add({Verdict::ok, "tpm-device", target.tcti, "this TCTI is no device of the kernel", ""});
        return true;
    }
    const auto device = target.tcti.substr(prefix.size());
    struct stat status = {};
    if (::stat(device.c_str(), &status) != 0) {
        findings.add(missing_device(device));
        return false;
    }
    const auto chip = chip_of(device), driver = driver_of(chip);
    const auto text = driver.empty() ? std::string("its driver is unknown") : "driver " + driver;
    if (line_of(tpm_class / chip / "tpm_version_major") == "1") {
        findings.add(missing_device(device));
        return false;
    }
    if (fs::path(device).filename() == chip)
        findings.add({Verdict::warn, "tpm-device", device,
                      text + ", without the kernel's resource manager: one program at a time can use it",
                      "use /dev/tpmrm0: remove --tcti, and `unset SSH_TPM_TCTI`"});
    else
        findings.add({Verdict::ok, "tpm-device", device, text, ""});
    auto permission = permission_of(device, status);
    const bool usable = permission.verdict == Verdict::ok;
    findings.add(std::move(permission));
    return usable;
}

} // namespace sshtpm::applets
