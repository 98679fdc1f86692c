#pragma once
// What ssh-tpm-agent prints for a shell, and the agent that runs already.

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace sshtpm::applets {

enum class Shell { bourne, c, fish };

/// The shell that reads the commands: of the kind in SHELL, as for ssh-agent, unless -s or -c chose one.
/// SHELL is the login shell and need not run here, so the parent's name decides about fish. It has the
/// commands of neither kind, and -c means them too.
Shell reading_shell(std::optional<Shell> chosen);

/// A command that sets and exports a variable: one line, with its newline.
std::string set_variable(const std::string& name, const std::string& value, Shell shell);

/// Commands that point a shell to the agent and print its pid. As with ssh-agent, they set SSH_AGENT_PID only
/// for an agent in the background.
std::string environment_commands(const std::filesystem::path& socket, pid_t agent, bool background,
                                 Shell shell);

/// The same for an agent of this program that this user or root has started already.
/// @returns nothing if no such agent listens on the socket
std::optional<std::string> commands_of_running_agent(const std::filesystem::path& socket, Shell shell);

/// Gives this process a name that begins with "ssh-agent", by which other programs find one, and that
/// OpenSSH's agent does not have.
void take_name_of_ssh_agent();

/// True if SSH_AGENT_PID names a running agent of this program.
bool variable_names_agent();

/// Ends an agent of this program: the one that listens on `socket`; without one, the one that SSH_AGENT_PID
/// names; without that too, the one on the usual socket. Waits for its end.
/// @returns commands that unset the variables that name it
/// @throws Error(not_found | permission | refused) if there is no such agent; no other program is ended
std::string end_agent(const std::optional<std::filesystem::path>& socket, Shell shell);

} // namespace sshtpm::applets
