// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the device of the TPM, its driver, and the right to use it.

#include "applets/doctor.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/lines.hpp"
#include "tpm/device.hpp"

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
                "tries ssh-tpm with an emulator"};
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

cli::Finding permission_of(const std::string& device) {
    try { // turned into the finding
        tpm::require_access(device);
    } catch (const Error& error) {
        return cli::finding_of_error(Verdict::fail, "tpm-permission", device, error);
    }
    return {Verdict::ok, "tpm-permission", device, is_root() ? "root may use it" : "this user may use it",
            ""};
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
    std::error_code ignored;
    if (!fs::exists(device, ignored)) {
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
    auto permission = permission_of(device);
    const bool usable = permission.verdict == Verdict::ok;
    findings.add(std::move(permission));
    return usable;
}

} // namespace sshtpm::applets
