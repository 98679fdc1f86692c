// SPDX-License-Identifier: MIT
#pragma once
// The units of the host keys' agents, their sockets, and the file that tells sshd of them.

#include "base/error.hpp"
#include "tpm/storage_keys.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sshtpm::applets {

/// The socket of the agent for the keys in files.
inline constexpr const char* system_socket = "/run/ssh-tpm-agent/agent.sock";

/// The file that gives sshd the keys of an agent.
inline constexpr const char* sshd_drop_in_path = "/etc/ssh/sshd_config.d/70-ssh-tpm.conf";

/// The socket of an agent's unit. @param hierarchy nothing: the keys in files
std::filesystem::path host_agent_socket(const std::optional<tpm::Hierarchy>& hierarchy);

/// True for a path in the folder of these sockets.
bool is_host_agent_socket(const std::filesystem::path& socket);

/// The unit of the agent at this socket, without ".socket" and ".service"; for any other path, the unit for
/// the keys in files.
std::string agent_unit(const std::filesystem::path& socket);

/// The unit that makes the keys of the agent at this socket, and that with the agent's socket: words of a
/// command.
std::string genkeys_unit(const std::filesystem::path& socket);
std::string start_units(const std::filesystem::path& socket);

/// Behind a command for sshd's service.
inline constexpr std::string_view name_of_sshd_service = " (Fedora and Arch call the service sshd)";

/// How to have the agent of a unit answer at its socket. @param code of the error of a client
std::string hint_for_agent(const std::filesystem::path& socket, Errc code);

/// " --hierarchy H" for the socket of the agent of a hierarchy's keys, else empty.
std::string hierarchy_option(const std::filesystem::path& socket);

/// The command, in backticks, that gives sshd the keys of the agent at this socket.
std::string install_command(const std::filesystem::path& socket);

} // namespace sshtpm::applets
