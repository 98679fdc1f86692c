// SPDX-License-Identifier: MIT
// ssh-tpm-doctor: the agents that ssh may ask, and what ssh-tpm's agent tells of itself.

#include "applets/doctor.hpp"
#include "applets/host_units.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"
#include "protocol/client.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;
using cli::Verdict;

struct AgentAt {
    fs::path socket;
    os::Peer peer = {};
    protocol::AgentStatus status = {}; ///< empty for another agent, and for one that ssh forwards
    std::optional<Error> failure = {};

    bool is_ssh_tpm() const { return !status.empty(); }

    /// @returns an empty text for a name that the agent did not send
    std::string value(const std::string& name) const {
        const auto found = status.find(name);
        return found == status.end() ? "" : printable(found->second);
    }
};

/// Asks for the status; an agent that does not tell it, for its keys.
void ask(protocol::Client& client, AgentAt& agent) {
    try { // caught because other agents refuse it, in several ways
        agent.status = client.status();
        return;
    } catch (const Error& error) {
        if (error.code() != Errc::refused && error.code() != Errc::malformed)
            throw;
    }
    (void)client.list();
}

AgentAt look_at(const fs::path& socket) {
    AgentAt agent{.socket = socket};
    try { // caught to report it
        protocol::Client client(socket, time_limits().doctor_agent);
        agent.peer = client.peer();
        ask(client, agent);
    } catch (const Error& error) {
        agent.failure = error;
    }
    return agent;
}

/// The process that made the socket listen, as the kernel knows it: systemd for the socket of a unit.
/// @returns nothing if it has ended, as the parent of an agent that goes to the background has
std::optional<std::string> listener_of(const AgentAt& agent) {
    return os::name_of_process(agent.peer.pid) ? std::optional(os::describe_process(agent.peer.pid, 0))
                                               : std::nullopt;
}

std::string name_of_other(const AgentAt& agent) {
    const auto name = os::name_of_process(agent.peer.pid).value_or("");
    const auto path = agent.socket.string();
    if (name == "systemd" && path.find("gnupg") != std::string::npos)
        return "gpg-agent, by a socket of systemd";
    if (name == "systemd" &&
        (path.find("/gcr/") != std::string::npos || path.find("/keyring/") != std::string::npos))
        return "the agent of GNOME, by a socket of systemd";
    if (name == "sshd" || name.starts_with("sshd-"))
        return "an agent that ssh forwards from another machine";
    const auto listener = listener_of(agent);
    return listener ? "another agent: " + *listener : "another agent, such as ssh-agent";
}

constexpr const char* start_hint =
    "`systemctl --user enable --now ssh-tpm-agent.socket`; without systemd, `eval \"$(ssh-tpm agent -s)\"`";

void report_ssh_tpm(cli::Findings& findings, const AgentAt& agent) {
    const auto socket = agent.socket.string();
    const auto version = agent.value("version"), pid = agent.value("pid");
    auto text = "ssh-tpm " + version + ", pid " + pid;
    if (const auto listener = listener_of(agent); listener && pid != std::to_string(agent.peer.pid))
        text += ", the socket is that of " + *listener;
    if (agent.peer.uid != ::geteuid())
        text += ", of the user " + std::to_string(agent.peer.uid);
    const auto sandbox = agent.value("sandbox"); // an older agent does not tell
    if (!sandbox.empty())
        text += ", sandbox: " + sandbox;
    if (sandbox == "none")
        findings.add({Verdict::warn, "agent", socket, text, "start it without --no-sandbox"});
    else if (version != SSHTPM_VERSION)
        findings.add({Verdict::warn, "agent", socket, text + "; this program is " SSHTPM_VERSION,
                      "`systemctl --user restart ssh-tpm-agent.service`, or start it again"});
    else
        findings.add({Verdict::ok, "agent", socket, text, ""});
}

/// @param required false if the user can do without an agent there
void report_agent(cli::Findings& findings, const AgentAt& agent, bool required) {
    const auto socket = agent.socket.string();
    const bool is_hosts = is_host_agent_socket(agent.socket);
    if (!agent.failure) {
        if (agent.is_ssh_tpm())
            report_ssh_tpm(findings, agent);
        else
            findings.add({Verdict::ok, "agent", socket, name_of_other(agent), ""});
        return;
    }
    if (agent.peer.pid != 0) {
        const auto listener = listener_of(agent);
        const auto look =
            "see the process that listens: `" +
            (listener ? "ps -fp " + std::to_string(agent.peer.pid) : "ss -xlp src " + shell_word(socket)) +
            "`";
        findings.add(
            cli::finding_of_error(Verdict::fail, "agent", socket,
                                  agent.failure->about(listener.value_or("an agent") + " listens there, but"),
                                  is_hosts ? hint_for_agent(agent.socket, agent.failure->code()) : look));
        return;
    }
    if (!agent.failure->hint().empty()) { // something listens, and accepts no connection
        findings.add(cli::finding_of_error(Verdict::fail, "agent", socket, *agent.failure));
        return;
    }
    const auto code = agent.failure->code();
    const std::string text =
        code == Errc::not_found || code == Errc::io ? "no agent listens there" : agent.failure->what();
    if (required)
        findings.add({Verdict::fail, "agent", socket, text,
                      is_hosts ? hint_for_agent(agent.socket, code) : start_hint});
    else
        findings.add({Verdict::ok, "agent", socket, text, ""});
}

void report_socket(cli::Findings& findings, const AgentAt& agent) {
    try { // caught because an agent that answers needs no file
        if (auto finding = check_path(agent.socket, {.check = "agent-socket",
                                                     .owner = {},
                                                     .denied = S_IWGRP | S_IWOTH,
                                                     .if_open = Verdict::warn,
                                                     .open_text = "other users may connect to this socket",
                                                     .chmod = "600"}))
            findings.add(*std::move(finding));
    } catch (const Error&) {
    }
}

void report_keys(cli::Findings& findings, const AgentAt& agent) {
    const auto socket = agent.socket.string();
    if (agent.value("locked") == "yes") {
        findings.add({Verdict::warn, "agent-keys", socket, "the agent is locked, and shows no keys",
                      "`ssh-add -X` unlocks it"});
        return;
    }
    if (agent.value("keys") == "0") {
        findings.add(
            {Verdict::warn, "agent-keys", socket, "the agent has no keys of the TPM",
             "`ssh-tpm keygen` makes one in ~/.ssh, which the agent reads; `ssh-tpm add FILE` adds another"});
        return;
    }
    findings.add({Verdict::ok, "agent-keys", socket,
                  "keys: " + agent.value("keys") + ", with a PIN: " + agent.value("keys-with-pin") +
                      ", PINs kept: " + agent.value("pins") +
                      ", certificates: " + agent.value("certificates"),
                  ""});
}

void report_askpass(cli::Findings& findings, const AgentAt& agent) {
    const auto socket = agent.socket.string();
    const auto asker = agent.value("asker"), program = agent.value("askpass");
    const std::string display = agent.value("display") == "yes"
                                    ? " (it has a display)"
                                    : " (it has neither DISPLAY nor WAYLAND_DISPLAY)";
    if (asker == "terminal") {
        findings.add({Verdict::ok, "agent-askpass", socket, "the agent asks for PINs on its terminal", ""});
    } else if (asker == "askpass") {
        // The agent searches its own PATH, which may differ.
        const bool there = program.find('/') != std::string::npos ? ::access(program.c_str(), X_OK) == 0
                                                                  : os::find_program(program).has_value();
        if (there)
            findings.add({Verdict::ok, "agent-askpass", socket,
                          "the agent asks for PINs through " + program + display, ""});
        else
            findings.add({Verdict::warn, "agent-askpass", socket,
                          "the agent asks for PINs through " + program + ", which cannot be run",
                          "install an askpass program (`sudo apt install ssh-askpass-gnome`), or name one in "
                          "SSH_ASKPASS"});
    } else if (asker == "gone") {
        findings.add({Verdict::warn, "agent-askpass", socket,
                      "the process that asks for PINs for the agent has ended, or is stopped",
                      "restart the agent"});
    } else {
        const bool needed = agent.value("keys-with-pin") != "0";
        findings.add({needed ? Verdict::warn : Verdict::ok, "agent-askpass", socket,
                      "the agent can ask nobody for a PIN" + display,
                      needed ? "`ssh-tpm add --pin` gives it the PIN; on a desktop, start it with the "
                               "session's environment"
                             : ""});
    }
}

void report_memory(cli::Findings& findings, const AgentAt& agent) {
    const auto socket = agent.socket.string();
    if (agent.value("memory-locked") == "yes")
        findings.add({Verdict::ok, "agent-memory", socket, "memory for PINs is locked", ""});
    else
        findings.add({Verdict::warn, "agent-memory", socket,
                      "memory for PINs cannot be locked, so the agent keeps none",
                      "raise the limit (`ulimit -l`; LimitMEMLOCK= in `systemctl --user edit "
                      "ssh-tpm-agent.service`)"});
}

bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code ignored;
    return a == b || fs::equivalent(a, b, ignored);
}

/// The socket of the agent that ssh asks, by its configuration for a host that no block names; empty for
/// none. ssh prints the path with its "~" and "%" replaced, but leaves "$NAME".
/// @returns nothing if ssh does not tell
std::optional<std::string> socket_of_ssh() {
    const auto answer = try_output_of({"ssh", "-G", "localhost"});
    if (!answer || answer->status != 0)
        return std::nullopt;
    auto socket = std::string(value_in(answer->output, "identityagent "));
    if (socket == "none")
        return "";
    if (socket.empty() || socket == "SSH_AUTH_SOCK")
        socket = "$SSH_AUTH_SOCK";
    return socket.starts_with('$') ? os::variable(socket.c_str() + 1).value_or("") : socket;
}

void report_use(cli::Findings& findings, const AgentAt& agent) {
    const auto told = socket_of_ssh();
    const auto asked = told.value_or(""), socket = agent.socket.string();
    if (!told)
        findings.add(
            {Verdict::warn, "ssh-agent-used", socket,
             "not checked: ssh -G localhost fails, or does not end in time",
             "`ssh -vG localhost` shows the line; ~/.ssh/config may have a `Match exec` that hangs"});
    else if (same_file(asked, agent.socket))
        findings.add({Verdict::ok, "ssh-agent-used", socket, "ssh asks this agent", ""});
    else
        findings.add(
            {Verdict::warn, "ssh-agent-used", socket,
             asked.empty() ? "ssh asks no agent" : "ssh does not ask this agent, but that at " + asked,
             "`export SSH_AUTH_SOCK=" + shell_word(socket) +
                 "` in ~/.profile, or a line IdentityAgent in ~/.ssh/config; `ssh-tpm agent -A` serves the "
                 "keys of another agent too"});
}

} // namespace

void check_agents(cli::Findings& findings) {
    std::vector<AgentAt> found{look_at(os::default_socket())};
    if (const auto other = os::variable("SSH_AUTH_SOCK");
        other && !other->empty() && !same_file(*other, found.front().socket))
        found.push_back(look_at(*other));
    const auto ours = std::ranges::find(found, true, &AgentAt::is_ssh_tpm);
    for (const auto& agent : found) {
        const bool is_default = &agent == &found.front();
        const bool required = is_default ? ours == found.end() && !is_root() : true;
        report_agent(findings, agent, required);
    }
    if (ours == found.end())
        return;
    report_socket(findings, *ours);
    report_use(findings, *ours);
    report_keys(findings, *ours);
    report_askpass(findings, *ours);
    report_memory(findings, *ours);
}

} // namespace sshtpm::applets
