#include "applets/agent_shell.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <iostream>

namespace sshtpm::applets {

namespace {

constexpr std::string_view plain_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:";

/// For the shell to read back, whatever characters it has.
std::string quoted(const std::string& text, Shell shell) {
    if (text.find_first_not_of(plain_characters) == std::string::npos)
        return text;
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else if (shell == Shell::c && (c == '!' || c == '\n')) // not even quotes keep those from a C shell
            out.append("\\").append(1, c);
        else
            out += c;
    }
    return out + "'";
}

std::string set(const std::string& name, const std::string& value, Shell shell) {
    if (shell == Shell::c)
        return "setenv " + name + " " + quoted(value, shell) + ";\n";
    return name + "=" + quoted(value, shell) + "; export " + name + ";\n";
}

/// A process id that kill(2) takes for one process and not for a group.
pid_t parse_pid(const std::string& text) {
    pid_t pid = 0;
    const auto* const end = text.data() + text.size();
    const auto [stopped, failure] = std::from_chars(text.data(), end, pid);
    if (failure != std::errc() || stopped != end || pid <= 1)
        throw Error(Errc::malformed, "SSH_AGENT_PID is not the id of a process");
    return pid;
}

} // namespace

Shell usual_shell() {
    const auto shell = os::variable("SHELL");
    return shell && shell->ends_with("csh") ? Shell::c : Shell::bourne;
}

std::string environment_commands(const std::filesystem::path& socket, pid_t agent, bool background,
                                 Shell shell) {
    const auto pid = std::to_string(agent);
    auto out = set("SSH_AUTH_SOCK", socket.string(), shell);
    if (background)
        out += set("SSH_AGENT_PID", pid, shell);
    return out.append("echo Agent pid ").append(pid).append(";\n");
}

int kill_agent(Shell shell) {
    const auto text = os::variable("SSH_AGENT_PID");
    if (!text)
        throw Error(Errc::not_found, "SSH_AGENT_PID is not set: there is no agent to end",
                    "eval \"$(ssh-tpm-agent -s)\" starts one and sets it");
    const auto pid = parse_pid(*text);
    if (::kill(pid, SIGTERM) != 0)
        throw Error::from_errno(errno, "ending process " + *text);
    const auto* const unset = shell == Shell::c ? "unsetenv " : "unset ";
    std::cout << unset << "SSH_AUTH_SOCK;\n"
              << unset << "SSH_AGENT_PID;\necho Agent pid " << pid << " killed;\n";
    return 0;
}

} // namespace sshtpm::applets
