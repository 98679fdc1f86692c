// ssh-tpm-agent: the server that its options ask for, here or in the background, and the end of one (-k).

#include "applets/agent_options.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/report.hpp"
#include "os/background.hpp"
#include "os/environment.hpp"
#include "os/harden.hpp"
#include "os/paths.hpp"
#include "os/systemd.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

constexpr std::string_view plain_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:";

/// For the shell to read back, whatever characters it has.
std::string shell_word(const std::string& text, Shell shell) {
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
        return "setenv " + name + " " + shell_word(value, shell) + ";\n";
    return name + "=" + shell_word(value, shell) + "; export " + name + ";\n";
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

/// Commands that point a shell to the agent: of one in the background with its pid to end it by, of one in
/// the foreground with the pid as a word to a person, as ssh-agent does.
std::string environment_commands(const std::filesystem::path& socket, pid_t agent, bool background,
                                 Shell shell) {
    const auto pid = std::to_string(agent);
    auto out = set("SSH_AUTH_SOCK", socket.string(), shell);
    if (background)
        out += set("SSH_AGENT_PID", pid, shell);
    return out.append("echo Agent pid ").append(pid).append(";\n");
}

/// A command gets an agent of its own, beside the one that may listen on the usual socket.
std::filesystem::path socket_path(const AgentOptions& line) {
    if (!line.socket.empty())
        return std::filesystem::absolute(line.socket);
    auto path = os::default_socket();
    if (!line.command.empty())
        path.replace_filename("ssh-tpm-agent." + std::to_string(::getpid()) + ".sock");
    return std::filesystem::absolute(path);
}

/// @param notifier of an agent in the foreground: one in the background is not what systemd started.
void serve(const AgentOptions& line, agent::ListeningSocket& socket, int until, os::Notifier notifier,
           const std::function<void()>& ready) {
    agent::run_server(socket,
                      {.target = line.target,
                       .owner_password = line.tpm.owner_password(),
                       .key_dir = line.load ? line.key_dir : std::filesystem::path(),
                       .key_dir_terms = line.key_dir_terms,
                       .hierarchy = line.hierarchy,
                       .policy = line.policy,
                       .upstreams = line.upstreams,
                       .pin_lifetime = line.pin_lifetime,
                       .until = until,
                       .notifier = std::move(notifier)},
                      ready);
}

int serve_in_foreground(const AgentOptions& line, std::optional<UniqueFd> passed) {
    auto notifier = os::Notifier::from_environment();
    if (passed) {
        agent::ListeningSocket socket(std::move(*passed));
        serve(line, socket, -1, std::move(notifier), [] {});
        return 0;
    }
    agent::ListeningSocket socket(socket_path(line));
    serve(line, socket, -1, std::move(notifier), [&socket, shell = line.shell_or_usual()] {
        std::cout << environment_commands(socket.path(), ::getpid(), false, shell);
        cli::finish_printing();
    });
    return 0;
}

/// An agent that the shell could not be told of does not live on.
void tell_shell(const AgentOptions& line, os::BackgroundParent& parent, const std::filesystem::path& socket) {
    try { // caught to end the agent first
        std::cout << environment_commands(socket, parent.child(), true, line.shell_or_usual());
        cli::finish_printing();
    } catch (const Error& error) {
        parent.let_end();
        throw Error(error.code(), std::string(error.what()) + "; the agent has ended", error.hint());
    }
    parent.let_live();
}

/// The parent's part: the shell is told, or the command is run in this process.
int tell_or_become_command(const AgentOptions& line, os::BackgroundParent& parent,
                           const std::filesystem::path& socket) {
    if (const auto failure = parent.wait_until_ready())
        return *failure;
    if (line.command.empty()) {
        tell_shell(line, parent, socket);
        return 0;
    }
    parent.let_live(); // to the end of this process, whether the command can be run or not
    os::become_command(line.command, {"SSH_AUTH_SOCK=" + socket.string(),
                                      "SSH_AGENT_PID=" + std::to_string(parent.child())});
}

int serve_in_background(const AgentOptions& line) {
    const auto path = socket_path(line); // before the fork: one answer for both
    if (line.tpm.asks_for_owner_password())
        throw Error(Errc::usage, "an agent in the background cannot ask for the owner password",
                    "set SSH_TPM_AGENT_OWNER_PASSWORD, or stay in the foreground");
    if (!line.command.empty())
        log::configure("ssh-tpm-agent", line.level == log::Level::debug ? line.level : log::Level::error);
    auto sides = os::fork_to_background();
    take_owner_password(); // on both sides: the command is not to have it
    if (auto* parent = std::get_if<os::BackgroundParent>(&sides))
        return tell_or_become_command(line, *parent, path);
    auto& child = std::get<os::BackgroundChild>(sides);
    os::Notifier::from_environment(); // taken away from what the agent starts; a command keeps it
    agent::ListeningSocket socket(path);
    // Beside a command, stderr is the one place where its failures can be explained.
    const bool beside_command = !line.command.empty();
    serve(line, socket, beside_command ? child.parent_pidfd() : -1, {}, [&] { child.ready(beside_command); });
    return 0;
}

} // namespace

int serve_agent(AgentOptions& line) {
    log::configure("ssh-tpm-agent", line.level);
    auto passed = os::activated_socket();
    os::close_stray_descriptors(os::first_passed_descriptor + (passed ? 1 : 0));
    line.target = line.tpm.target();
    line.load = line.load && !(line.hierarchy && line.key_dir.empty());
    if (line.load)
        line.key_dir = std::filesystem::absolute(line.key_dir.empty() ? os::ssh_folder() : line.key_dir);
    const bool background = (line.shell && !line.stay) || !line.command.empty();
    if (background && passed)
        throw Error(Errc::usage, "a socket was passed to an agent that goes to the background",
                    "systemd runs it in the foreground");
    if (background)
        return serve_in_background(line);
    take_owner_password();
    return serve_in_foreground(line, std::move(passed));
}

int print_socket(const AgentOptions& line) {
    std::cout << socket_path(line).string() << '\n';
    return 0;
}

Shell usual_shell() {
    const auto shell = os::variable("SHELL");
    return shell && shell->ends_with("csh") ? Shell::c : Shell::bourne;
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
