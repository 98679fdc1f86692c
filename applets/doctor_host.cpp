// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the units of systemd, and the host keys of sshd.

#include "applets/doctor.hpp"
#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "applets/sshd.hpp"
#include "applets/stored_host_keys.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/shell_word.hpp"
#include "identity/hierarchy.hpp"

#include <algorithm>
#include <iterator>
#include <sys/stat.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Verdict;

const fs::path host_key_folder = "/etc/ssh";

struct Manager {
    std::string option; ///< "--user", or empty for the system's
    std::vector<std::string> units;
};

/// An installed unit, in systemd's words.
struct Unit {
    std::string name, active, enabled, file;
    bool fails;
    bool is_socket() const { return name.starts_with("ssh-tpm-hostkeys") && name.ends_with(".socket"); }
    bool is_enabled() const { return enabled.starts_with("enabled"); }
    bool is_masked() const { return enabled.starts_with("masked"); }
};

/// A command about a unit, in backticks: `systemctl --user start UNIT`.
std::string command_for(std::string program, const Manager& manager, std::string_view action,
                        const std::string& unit) {
    if (!manager.option.empty())
        program.append(" ").append(manager.option);
    program.append(" ").append(action).append(" ").append(shell_word(unit)).append("`");
    return program.insert(0, 1, '`');
}

/// @param block the properties of one unit, as systemctl show prints them
/// @returns nothing for a unit that is not installed
std::optional<Unit> report_unit(cli::Findings& findings, const Manager& manager, std::string_view block) {
    const auto value = [&](std::string_view name) { return std::string(value_in(block, name)); };
    const auto unit = value("Id="), active = value("ActiveState="), enabled = value("UnitFileState=");
    if (value("LoadState=") == "not-found" || unit.empty())
        return std::nullopt;
    const auto state = (enabled.empty() ? "" : enabled + ", ") + active;
    const bool fails = // or ends, and is started again
        active == "failed" || value("SubState=").starts_with("auto-restart");
    if (fails)
        findings.add({Verdict::fail, "unit", unit, state + " (" + value("Result=") + ")",
                      command_for("journalctl", manager, "-b -u", unit) + " has the reason"});
    else if (unit.ends_with(".socket") && enabled == "enabled" && active != "active")
        findings.add({Verdict::fail, "unit", unit, state, command_for("systemctl", manager, "start", unit)});
    else
        findings.add({Verdict::ok, "unit", unit, state, ""});
    return Unit{
        .name = unit, .active = active, .enabled = enabled, .file = value("FragmentPath="), .fails = fails};
}

/// @returns the installed ones; nothing if systemd does not tell
std::optional<std::vector<Unit>> check_units(cli::Findings& findings, const Manager& manager) {
    std::vector<std::string> command{"systemctl"};
    if (!manager.option.empty())
        command.push_back(manager.option);
    command.insert(command.end(),
                   {"show", "--no-pager",
                    "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,FragmentPath"});
    command.insert(command.end(), manager.units.begin(), manager.units.end());
    const auto answer = try_output_of(command);
    if (!answer || answer->status != 0) // not started by systemd, or no user manager
        return std::nullopt;
    std::vector<Unit> units;
    for (std::string_view rest(answer->output); !rest.empty();) {
        constexpr std::string_view between = "\n\n";
        const auto end = std::min(rest.find(between), rest.size());
        if (auto unit = report_unit(findings, manager, rest.substr(0, end)))
            units.push_back(*std::move(unit));
        rest.remove_prefix(std::min(end + between.size(), rest.size()));
    }
    return units;
}

/// How far the steps of docs/host-keys.md were taken.
struct HostSetup {
    std::optional<std::vector<Unit>> units; ///< the system's; nothing if systemd does not tell
    std::vector<fs::path> keys;             ///< files of host keys
    bool has_drop_in = false;               ///< also for a dangling link
    std::vector<KeyPaths> lost = {};        ///< host keys without a key file
    /// agent_of_sshd, where there is no drop-in, or a key file is missing.
    std::optional<std::string> asked = {};

    bool has(std::string_view ending) const {
        return std::ranges::any_of(keys,
                                   [&](const fs::path& file) { return file.native().ends_with(ending); });
    }
    bool sshd_asks_us() const { return has_drop_in || (asked && is_host_agent_socket(*asked)); }
    bool has_begun() const {
        return sshd_asks_us() || (asked.value_or("").empty() && !keys.empty()) ||
               (units && std::ranges::any_of(*units, [](const Unit& unit) {
                    return unit.is_enabled() || unit.active != "inactive" ||
                           (!unit.is_masked() && unit.file.starts_with("/etc/systemd/"));
                }));
    }
};

/// The files of the TPM's host keys, and their certificates.
std::vector<fs::path> host_key_files() {
    std::vector<fs::path> files;
    std::error_code ignored; // a machine without the folder has none
    for (fs::directory_iterator entry(host_key_folder, ignored), end; !ignored && entry != end;
         entry.increment(ignored)) {
        const auto name = entry->path().filename().string();
        if (identity::has_host_key_name(name) && (name.ends_with(".tpm") || name.ends_with(".pub")))
            files.push_back(entry->path());
    }
    std::ranges::sort(files);
    return files;
}

/// Without its key file, a host key is lost; the keys of a hierarchy have none.
cli::Finding lost_keys(const std::vector<KeyPaths>& keys) {
    std::string names;
    for (const auto& paths : keys)
        names.append(names.empty() ? "" : ", ").append(paths.key.filename().string());
    return {Verdict::fail, "host-file", host_key_folder.string(),
            "lost, and their .pub files are still there: " + names, replace_lost_keys()};
}

/// The socket of the agent whose units are loaded: that of a hierarchy, or of the keys in files.
fs::path socket_of(const HostSetup& setup) {
    for (const auto& unit : *setup.units)
        if (const auto at = unit.name.find('@'); unit.is_socket() && at != std::string::npos)
            return fs::path(system_socket).parent_path() /
                   (unit.name.substr(at + 1, unit.name.rfind('.') - at - 1) + ".sock");
    return system_socket;
}

/// The first step that was not taken, with its command.
std::optional<cli::Finding> next_step(const HostSetup& setup) {
    const auto step = [](std::string text, std::string hint) {
        return cli::Finding{Verdict::warn, "host-setup", host_key_folder.string(), std::move(text),
                            std::move(hint)};
    };
    std::string make_keys = "`ssh-tpm keygen -A`";
    fs::path socket = system_socket;
    if (setup.units) {
        const auto& units = *setup.units;
        socket = socket_of(setup);
        const bool is_derived = socket == system_socket && setup.has("_key.pub") && !setup.has(".tpm") &&
                                setup.asked != system_socket;
        if (is_derived)
            socket.replace_filename("H.sock");
        const auto start = "systemctl enable --now " + start_units(socket) + "`";
        const auto is_enabled = [](const Unit& unit) { return unit.is_socket() && unit.is_enabled(); };
        const auto is_masked = [](const Unit& unit) { return unit.is_socket() && unit.is_masked(); };
        if (std::ranges::none_of(units, &Unit::is_socket))
            return step("the units that serve the host keys are not installed",
                        "`ssh-tpm hostkeys --install-system-units`");
        if (std::ranges::none_of(units, is_enabled)) {
            if (std::ranges::any_of(units, is_masked)) { // by a person
                if (!setup.sshd_asks_us())
                    return std::nullopt;
                return step("sshd needs the units that serve the host keys, and they are masked",
                            "`systemctl unmask " + start_units(socket) + " && " + start);
            }
            return step("the units that serve the host keys are not enabled",
                        "`systemd-sysusers && systemctl daemon-reload && " + start +
                            (is_derived
                                 ? "; H is the hierarchy of these keys, such as endorsement; if their .tpm "
                                   "files were lost, move the .pub files away first"
                                 : ""));
        }
        if (std::ranges::any_of(units, &Unit::fails))
            return std::nullopt; // its own finding comes first
        make_keys = "`systemctl restart " + genkeys_unit(socket) + "`";
    }
    if (!setup.has("_key.pub"))
        return step("there are no public host keys of the TPM", make_keys);
    if (!setup.sshd_asks_us() && setup.asked == "" && find_sshd())
        return step("sshd does not use the host keys of the TPM", install_command(socket) +
                                                                      ", and then `systemctl reload ssh`" +
                                                                      std::string(name_of_sshd_service));
    return std::nullopt;
}

void check_files_of(cli::Findings& findings, const HostSetup& setup) {
    bool all = true;
    const auto add = [&](cli::Finding finding) {
        findings.add(std::move(finding));
        all = false;
    };
    std::error_code ignored;
    const auto check = [&](const fs::path& path, mode_t denied, Verdict verdict, std::string_view text,
                           const std::string& chmod) {
        try { // caught to report it
            if (auto finding = check_path(
                    path, {.check = "host-file",
                           .owner = 0,
                           .denied = denied,
                           .if_open = verdict,
                           .open_text = std::string(text),
                           .chmod = chmod,
                           .foreign_hint = fs::is_socket(path, ignored)
                                               ? hint_for_agent(path, Errc::refused)
                                               : "`chown root:root " + shell_word(path.native()) + "`"}))
                add(*std::move(finding));
        } catch (const Error& error) {
            add(cli::finding_of_error(Verdict::fail, "host-file", path.string(), error,
                                      "`ls -ld " + shell_word(path.parent_path().native()) +
                                          "` shows the folder"));
        }
    };
    constexpr mode_t writing = S_IWGRP | S_IWOTH, any = S_IRWXG | S_IRWXO;
    std::vector<fs::path> readable{host_key_folder, host_key_folder / "ssh_tpm_known_tpms",
                                   sshd_drop_in_path};
    std::ranges::copy_if(setup.keys, std::back_inserter(readable),
                         [](const fs::path& file) { return file.extension() == ".pub"; });
    for (const auto& path : readable)
        check(path, writing, Verdict::fail, "other users may write to it", "go-w");
    for (const auto& file : setup.keys)
        if (file.extension() == ".tpm")
            check(file, any, Verdict::warn, open_key_file, "600");
    if (!setup.lost.empty() && setup.asked == system_socket)
        add(lost_keys(setup.lost));
    std::vector<fs::path> sockets{system_socket};
    for (const auto& hierarchy : tpm::hierarchies)
        sockets.push_back(host_agent_socket(hierarchy));
    for (const auto& path : sockets)
        if (fs::is_socket(path, ignored)) // check_host_keys reports anything else
            check(path, writing, Verdict::warn, "other users may connect to this socket", "600");
    if (all)
        findings.add({Verdict::ok, "host-file", host_key_folder.string(),
                      "the files of host keys have the right owner and permissions", ""});
}

} // namespace

void check_host(cli::Findings& findings) {
    const Manager system{"",
                         {"ssh-tpm-genkeys.service", "ssh-tpm-hostkeys.socket", "ssh-tpm-hostkeys.service",
                          "ssh-tpm-*@*", "ssh-tpm-attest.socket", "ssh-tpm-attest.service"}};
    const Manager user{"--user", {"ssh-tpm-agent.socket", "ssh-tpm-agent.service"}};
    HostSetup setup{.units = check_units(findings, system), .keys = host_key_files()};
    if (setup.units) // logins do not need them
        std::erase_if(*setup.units, [](const Unit& unit) { return unit.name.starts_with("ssh-tpm-attest"); });
    check_units(findings, user);
    std::error_code ignored;
    setup.has_drop_in = fs::exists(fs::symlink_status(sshd_drop_in_path, ignored));
    setup.lost = host_keys_without_file(host_key_folder);
    if (!setup.has_drop_in || !setup.lost.empty())
        setup.asked = agent_of_sshd();
    if (!setup.has_begun())
        return;
    if (!is_root()) {
        findings.add({Verdict::ok, "host-keys", "",
                      "not checked: sshd's configuration, the host keys of the TPM, their files and "
                      "certificates; run sudo ssh-tpm doctor",
                      ""});
        return;
    }
    check_files_of(findings, setup);
    auto step = next_step(setup);
    if (!step || setup.sshd_asks_us())
        check_host_keys(findings, std::nullopt);
    if (step)
        findings.add(*std::move(step));
}

} // namespace sshtpm::applets
