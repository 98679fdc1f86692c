#pragma once
// What the command line of ssh-tpm-agent says, and the modes that read it.

#include "agent/server.hpp"
#include "applets/tpm_options.hpp"
#include "base/log.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace sshtpm::applets {

enum class Shell { bourne, c };

/// From $SHELL, as ssh-agent does.
Shell usual_shell();

struct AgentOptions {
    std::filesystem::path socket;
    std::filesystem::path key_dir;
    bool load = true;
    bool for_all_users = ::geteuid() == 0; ///< whose units are installed
    bool force = false;
    std::optional<Shell> shell; ///< -s or -c: what is printed is for it; to the background, except with -k
    bool stay = false;          ///< -D or -d: whatever else is said, in the foreground
    log::Level level = log::Level::info;
    protocol::Constraints key_dir_terms;
    std::optional<tpm::Hierarchy> hierarchy;
    agent::KeyPolicy policy;
    std::optional<agent::PinLifetime> pin_lifetime = agent::PinLifetime{};
    std::vector<std::filesystem::path> upstreams;
    TpmOptions tpm;
    tpm::Target target; ///< with the paths as they are before the agent goes to the background
    std::vector<std::string> command;

    Shell shell_or_usual() const { return shell ? *shell : usual_shell(); }
};

// Each @returns the exit status.
int serve_agent(AgentOptions& line);
int print_socket(const AgentOptions& line);
/// Ends the agent that SSH_AGENT_PID names; prints what takes it out of the shell.
/// @throws Error(not_found | malformed | permission)
int kill_agent(Shell shell);

} // namespace sshtpm::applets
