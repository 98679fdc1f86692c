// SPDX-License-Identifier: MIT
#include "applets/host_units.hpp"

namespace sshtpm::applets {

namespace fs = std::filesystem;

fs::path host_agent_socket(const std::optional<tpm::Hierarchy>& hierarchy) {
    const fs::path usual = system_socket;
    return hierarchy ? usual.parent_path() / (std::string(hierarchy->name) + ".sock") : usual;
}

bool is_host_agent_socket(const fs::path& socket) {
    return socket.parent_path() == fs::path(system_socket).parent_path();
}

std::string agent_unit(const fs::path& socket) {
    if (socket == system_socket || !is_host_agent_socket(socket))
        return "ssh-tpm-hostkeys";
    return "ssh-tpm-hostkeys@" + socket.stem().string();
}

std::string start_units(const std::optional<tpm::Hierarchy>& hierarchy) {
    return start_units(hierarchy ? "@" + std::string(hierarchy->name) : std::string());
}

std::string start_units(const std::string& instance) {
    return "ssh-tpm-genkeys" + instance + ".service ssh-tpm-hostkeys" + instance + ".socket";
}

std::string hierarchy_option(const fs::path& socket) {
    const bool has_hierarchy = socket != system_socket && is_host_agent_socket(socket);
    return has_hierarchy ? " --hierarchy " + socket.stem().string() : "";
}

std::string install_command(const fs::path& socket) {
    return "`ssh-tpm hostkeys --install-sshd-config" + hierarchy_option(socket) + "`";
}

} // namespace sshtpm::applets
