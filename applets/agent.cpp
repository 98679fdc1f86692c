// ssh-tpm-agent: the server that its options ask for, here or in the background.

#include "applets/agent_options.hpp"
#include "applets/agent_shell.hpp"
#include "applets/applets.hpp"
#include "applets/hostkeys.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/report.hpp"
#include "os/activation.hpp"
#include "os/background.hpp"
#include "os/harden.hpp"
#include "os/paths.hpp"

#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

namespace {

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

int start_serving(AgentOptions& line) {
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

} // namespace

int run_agent(std::span<char*> arguments) {
    auto options = parse_agent_options(arguments);
    if (!options)
        return 0;
    auto& line = *options;
    switch (line.mode.chosen()) {
    case AgentMode::kill:
        return kill_agent(line.shell_or_usual());
    case AgentMode::install_units:
        return install_user_units(line.for_all_users, line.force);
    case AgentMode::print_socket:
        std::cout << socket_path(line).string() << '\n';
        return 0;
    case AgentMode::serve:
        return start_serving(line);
    }
    throw Error(Errc::usage, "no such mode");
}

} // namespace sshtpm::applets
