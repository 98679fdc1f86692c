// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the units of systemd, and the host keys of sshd.

#include "applets/doctor.hpp"
#include "applets/host_units.hpp"
#include "applets/hostkeys.hpp"
#include "base/lines.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

using cli::Verdict;

struct Manager {
    std::string option; ///< "--user", or empty for the system's
    std::vector<std::string> units;
};

/// A command about a unit, in backticks: `systemctl --user start UNIT`.
std::string command_for(std::string program, const Manager& manager, std::string_view action,
                        const std::string& unit) {
    if (!manager.option.empty())
        program.append(" ").append(manager.option);
    program.append(" ").append(action).append(" ").append(unit).append("`");
    return program.insert(0, 1, '`');
}

/// @param block the properties of one unit, as systemctl show prints them
/// @returns false for a unit that is not installed
bool report_unit(cli::Findings& findings, const Manager& manager, std::string_view block) {
    const auto value = [&](std::string_view name) { return std::string(value_in(block, name)); };
    const auto unit = value("Id="), active = value("ActiveState="), enabled = value("UnitFileState=");
    if (value("LoadState=") == "not-found" || unit.empty())
        return false;
    const auto state = (enabled.empty() ? "" : enabled + ", ") + active;
    if (active == "failed")
        findings.add({Verdict::fail, "unit", unit, state + " (" + value("Result=") + ")",
                      command_for("journalctl", manager, "-b -u", unit) + " has the reason"});
    else if (unit.ends_with(".socket") && enabled == "enabled" && active != "active")
        findings.add({Verdict::fail, "unit", unit, state, command_for("systemctl", manager, "start", unit)});
    else
        findings.add({Verdict::ok, "unit", unit, state, ""});
    return true;
}

/// @returns true if any of the units is installed
bool check_units(cli::Findings& findings, const Manager& manager) {
    std::vector<std::string> command{"systemctl"};
    if (!manager.option.empty())
        command.push_back(manager.option);
    command.insert(command.end(),
                   {"show", "--no-pager", "--property=Id,LoadState,ActiveState,UnitFileState,Result"});
    command.insert(command.end(), manager.units.begin(), manager.units.end());
    const auto answer = try_output_of(command);
    if (!answer || answer->status != 0) // not started by systemd, or no user manager
        return false;
    bool any = false;
    for (std::string_view rest(answer->output); !rest.empty();) {
        constexpr std::string_view between = "\n\n";
        const auto end = std::min(rest.find(between), rest.size());
        any = report_unit(findings, manager, rest.substr(0, end)) || any;
        rest.remove_prefix(std::min(end + between.size(), rest.size()));
    }
    return any;
}

} // namespace

void check_host(cli::Findings& findings) {
    const Manager system{
        "",
        {"ssh-tpm-genkeys.service", "ssh-tpm-hostkeys.socket", "ssh-tpm-hostkeys.service", "ssh-tpm-*@*"}};
    const Manager user{"--user", {"ssh-tpm-agent.socket", "ssh-tpm-agent.service"}};
    const bool has_units = check_units(findings, system);
    check_units(findings, user);
    std::error_code ignored;
    if (!has_units && !std::filesystem::exists(sshd_drop_in_path, ignored) && !sshd_asks_our_agent())
        return;
    if (is_root())
        check_host_keys(findings, std::nullopt);
    else
        findings.add({Verdict::ok, "host-keys", "", "not checked: run `sudo ssh-tpm doctor`", ""});
}

} // namespace sshtpm::applets
