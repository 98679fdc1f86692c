// SPDX-License-Identifier: MIT
#pragma once
// The commands that ssh-tpm-agent prints for a shell, and agents that run already.

#include "base/shell_word.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace sshtpm::applets {

/// The kind of shell that reads the commands. -s chooses the Bourne shell. Without it, the parent's name and
/// SHELL tell whether it is fish, because SHELL names the login shell, which need not run here. Else -c
/// chooses the C shell, and without it SHELL decides, as for ssh-agent.
Shell reading_shell(std::optional<Shell> chosen);

/// A command that sets and exports a variable: one line, with its newline.
std::string set_variable(const std::string& name, const std::string& value, Shell shell);

/// Commands that point a shell to the agent and print its pid. As with ssh-agent, they set SSH_AGENT_PID only
/// for an agent in the background.
std::string environment_commands(const std::filesystem::path& socket, pid_t agent, bool background,
                                 Shell shell);

/// The same for an agent of this program that this user or root has started already.
/// @returns nothing if no such agent listens on the socket
/// @throws Error(io) if the one that listens does not answer
std::optional<std::string> commands_of_running_agent(const std::filesystem::path& socket, Shell shell);

/// Gives this process a name that begins with "ssh-agent", by which other programs find one, and that
/// OpenSSH's agent does not have.
void take_name_of_ssh_agent();

/// True if SSH_AGENT_PID names a running agent of this program.
bool variable_names_agent();

/// Ends an agent of this program, and waits for its end: the agent on `socket`; if that is empty, the agent
/// that SSH_AGENT_PID names; without that variable too, the agent on the usual socket.
/// @returns commands that unset the variables that name it
/// @throws Error(not_found | permission | refused) if there is no such agent; no other program is ended
std::string end_agent(const std::filesystem::path& socket, Shell shell);

} // namespace sshtpm::applets
