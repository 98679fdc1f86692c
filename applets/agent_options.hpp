#pragma once
// What the command line of ssh-tpm-agent says.

#include "agent/server.hpp"
#include "applets/agent_shell.hpp"
#include "applets/tpm_options.hpp"
#include "base/log.hpp"
#include "cli/choice.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

namespace sshtpm::applets {

enum class AgentMode { serve, kill, print_socket, install_units };

struct AgentOptions {
    std::filesystem::path socket;
    std::filesystem::path key_dir;
    bool load = true;
    cli::Choice<AgentMode> mode{AgentMode::serve};
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

/// @returns nothing when the help was asked for; it has been printed then.
/// @throws Error(usage)
std::optional<AgentOptions> parse_agent_options(std::span<char*> arguments);

} // namespace sshtpm::applets
