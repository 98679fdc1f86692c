// SPDX-License-Identifier: MIT
#include "applets/agent_shell.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "os/child.hpp"
#include "os/environment.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"
#include "protocol/client.hpp"
#include "protocol/message.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

constexpr const char *socket_variable = "SSH_AUTH_SOCK", *pid_variable = "SSH_AGENT_PID";

/// Of a process that was started as ssh-agent; 15 characters at most.
constexpr const char* name_as_openssh = "ssh-agent-tpm";

std::string unset_variable(const std::string& name, Shell shell) {
    if (shell == Shell::fish) // not -e, which in a Bourne shell means to exit at the first failure
        return "set --erase " + name + ";\n";
    return (shell == Shell::c ? "unsetenv " : "unset ") + name + ";\n";
}

/// True if the process has the name of this program: of its applets only the agent listens on a socket. False
/// for systemd, which listens for the agent that it starts, and for a proxy in front of an agent.
bool is_agent(pid_t process) {
    const auto name = os::name_of_process(process);
    return name == "ssh-tpm-agent" || name == "ssh-tpm" || name == name_as_openssh;
}

/// Ends a process if it is an agent, and waits for its end.
/// @param subject begins the message of an error
void end_process(pid_t pid, const std::string& subject, const std::string& hint) {
    const auto process = os::open_pidfd(pid); // before the check: the signal reaches no later process
    if (!process && errno != ESRCH)
        throw Error::from_errno(errno, subject);
    if (!process || !os::name_of_process(pid))
        throw Error(Errc::not_found, subject + ": process " + std::to_string(pid) + " has ended", hint);
    if (!is_agent(pid))
        throw Error(Errc::refused, subject + ": " + os::describe_process(pid, 0) + " is no ssh-tpm-agent",
                    hint);
    for (const int number : {SIGTERM, SIGCONT}) // a stopped process handles signals once it continues
        if (::syscall(SYS_pidfd_send_signal, process.value(), number, nullptr, 0) != 0 && errno != ESRCH)
            throw Error::from_errno(errno, "ending " + os::describe_process(pid, 0));
    pollfd ended{.fd = process.value(), .events = POLLIN, .revents = 0};
    const auto limit = static_cast<int>(time_limits().running_agent.count());
    if (uninterrupted([&] { return ::poll(&ended, 1, limit); }) != 1)
        throw Error(Errc::io, os::describe_process(pid, 0) + " got SIGTERM and does not end",
                    "kill -KILL " + std::to_string(pid));
}

/// @param subject begins the message if there is none
/// @returns its pid
pid_t end_agent_on(const fs::path& socket, std::string_view subject) {
    const auto peer = naming(subject, [&] { return protocol::Client(socket).peer(); });
    if (peer.uid != ::geteuid())
        throw Error(Errc::permission, socket.string() + ": the agent runs as another user (uid " +
                                          std::to_string(peer.uid) + ")");
    std::string hint;
    if (os::is_systemd(peer.pid)) // it listens for the agent that it starts
        hint = peer.pid == 1 ? "systemctl list-sockets names the unit to stop"
                             : "systemctl --user stop ssh-tpm-agent.socket ssh-tpm-agent.service";
    end_process(peer.pid, socket.string(), hint);
    return peer.pid;
}

} // namespace

Shell reading_shell(std::optional<Shell> chosen) {
    if (chosen == Shell::bourne)
        return Shell::bourne;
    const auto shell = os::variable("SHELL").value_or("");
    const auto parent = os::name_of_process(::getppid()).value_or("");
    // A bash that runs in fish leaves SHELL alone, and so does a fish that runs in bash.
    if (parent == "fish" || (shell.ends_with("fish") && !parent.ends_with("sh")))
        return Shell::fish;
    return chosen ? *chosen : shell.ends_with("csh") ? Shell::c : Shell::bourne;
}

std::string set_variable(const std::string& name, const std::string& value, Shell shell) {
    const auto word = shell_word(value, shell);
    switch (shell) {
    case Shell::c:
        return "setenv " + name + " " + word + ";\n";
    case Shell::fish:
        return "set -gx " + name + " " + word + ";\n";
    case Shell::bourne:
        break;
    }
    return name + "=" + word + "; export " + name + ";\n";
}

std::string environment_commands(const fs::path& socket, pid_t agent, bool background, Shell shell) {
    const auto pid = std::to_string(agent);
    auto out = set_variable(socket_variable, socket.string(), shell);
    if (background)
        out += set_variable(pid_variable, pid, shell);
    return out.append("echo Agent pid ").append(pid).append(";\n");
}

std::optional<std::string> commands_of_running_agent(const fs::path& socket, Shell shell) {
    std::optional<protocol::Client> client;
    try { // caught because then there is no such agent
        client.emplace(socket);
        client->require_trusted_agent();
    } catch (const Error&) {
        return std::nullopt;
    }
    const bool ours = client->knows(protocol::extension::tpm_try_pin); // a locked agent lists none
    const auto pid = client->peer().pid;
    auto out = set_variable(socket_variable, socket.string(), shell);
    if (is_agent(pid))
        return out + set_variable(pid_variable, std::to_string(pid), shell) + "echo Agent pid " +
               std::to_string(pid) + " was running already;\n";
    if (ours) // systemd listens for the agent, and is not the process to end
        return out + unset_variable(pid_variable, shell) + "echo Agent was running already;\n";
    return std::nullopt;
}

void take_name_of_ssh_agent() {
    ::prctl(PR_SET_NAME, name_as_openssh);
}

bool variable_names_agent() {
    const auto text = os::variable(pid_variable);
    const auto pid = text ? os::parse_pid(*text) : std::nullopt;
    return pid && is_agent(*pid);
}

std::string end_agent(const fs::path& socket, Shell shell) {
    std::string out;
    pid_t ended = 0;
    if (socket.empty() && os::has_variable(pid_variable)) {
        const auto pid = os::parse_pid(*os::variable(pid_variable));
        if (!pid)
            throw Error(Errc::malformed, "SSH_AGENT_PID is not the id of a process");
        end_process(*pid, pid_variable, "without SSH_AGENT_PID, -k ends the agent on its socket");
        ended = *pid;
        out = unset_variable(socket_variable, shell) + unset_variable(pid_variable, shell);
    } else {
        const auto path = fs::absolute(socket.empty() ? os::default_socket() : socket);
        ended =
            end_agent_on(path, socket.empty() ? "ending an agent without SSH_AGENT_PID" : "ending the agent");
        // The shell may use another agent.
        if (os::variable(socket_variable).value_or(path.string()) == path.string())
            out = unset_variable(socket_variable, shell);
        const auto pid = std::to_string(ended);
        if (os::variable(pid_variable).value_or(pid) == pid)
            out += unset_variable(pid_variable, shell);
    }
    return out + "echo Agent pid " + std::to_string(ended) + " killed;\n";
}

} // namespace sshtpm::applets
