// SPDX-License-Identifier: MIT
#include "applets/host_units.hpp"

#include "base/shell_word.hpp"

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
    const auto instance = hierarchy ? "@" + std::string(hierarchy->name) : std::string();
    return "ssh-tpm-genkeys" + instance + ".service ssh-tpm-hostkeys" + instance + ".socket";
}

std::string hint_for_agent(const fs::path& socket, Errc code) {
    if (code == Errc::permission)
        return "run it as root (sudo)";
    const auto unit = shell_word(agent_unit(socket)), path = shell_word(socket.native());
    const auto start = "systemctl enable --now " + unit + ".socket",
               again = "systemctl stop " + unit + ".service " + unit + ".socket && " + start;
    std::error_code ignored;
    if (is_host_agent_socket(socket) && fs::exists(socket, ignored) && !fs::is_socket(socket, ignored))
        return "it is no socket: `mv " + path + " " + shell_word(socket.native() + ".old") + " && " + again +
               "`";
    if (code == Errc::malformed || code == Errc::refused)
        return "end the program that listens (`ss -xlp src " + path + "` shows it), and then `" + again + "`";
    return code == Errc::io ? "`systemctl restart " + unit + ".service`" : "`" + start + "`";
}

std::string hierarchy_option(const fs::path& socket) {
    const bool has_hierarchy = socket != system_socket && is_host_agent_socket(socket);
    return has_hierarchy ? " --hierarchy " + shell_word(socket.stem().native()) : "";
}

std::string install_command(const fs::path& socket) {
    return "`ssh-tpm hostkeys --install-sshd-config" + hierarchy_option(socket) + "`";
}

} // namespace sshtpm::applets
