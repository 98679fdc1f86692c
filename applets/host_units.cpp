// SPDX-License-Identifier: MIT
#include "applets/host_units.hpp"

#include "base/shell_word.hpp"

namespace sshtpm::applets {

namespace {

namespace fs = std::filesystem;

/// "@endorsement"; empty for the agent of the keys in files.
std::string instance_of(const fs::path& socket) {
    return socket == system_socket || !is_host_agent_socket(socket) ? "" : "@" + socket.stem().string();
}

} // namespace

fs::path host_agent_socket(const std::optional<tpm::Hierarchy>& hierarchy) {
    const fs::path usual = system_socket;
    return hierarchy ? usual.parent_path() / (std::string(hierarchy->name) + ".sock") : usual;
}

bool is_host_agent_socket(const fs::path& socket) {
    return socket.parent_path() == fs::path(system_socket).parent_path();
}

std::string agent_unit(const fs::path& socket) {
    return "ssh-tpm-hostkeys" + instance_of(socket);
}

std::string genkeys_unit(const fs::path& socket) {
    return shell_word("ssh-tpm-genkeys" + instance_of(socket) + ".service");
}

std::string start_units(const fs::path& socket) {
    return genkeys_unit(socket) + " " + shell_word(agent_unit(socket) + ".socket");
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
        return "`ss -xlp src " + path + "` shows the program that listens, and `" + again +
               "` puts the agent in its place";
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
