#pragma once
// What the agent tells a shell.

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace sshtpm::applets {

enum class Shell { bourne, c };

/// What SHELL looks like, as ssh-agent has it.
Shell usual_shell();

/// Commands that point a shell to the agent: of one in the background with its pid to end it by, of
/// one in the foreground with the pid as a word to a person, as ssh-agent does.
std::string environment_commands(const std::filesystem::path& socket, pid_t agent, bool background,
                                 Shell shell);

/// Ends the agent that SSH_AGENT_PID names; prints what takes it out of the shell.
/// @throws Error(not_found | malformed | permission)
int kill_agent(Shell shell);

} // namespace sshtpm::applets
