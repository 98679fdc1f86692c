// SPDX-License-Identifier: MIT
#include "os/paths.hpp"

#include "base/error.hpp"
#include "os/environment.hpp"
#include "os/host_names.hpp"

#include <pwd.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

constexpr const char* socket_name = "ssh-tpm-agent.sock";
constexpr std::string_view before_process = "ssh-tpm-agent.", after_process = ".sock";

std::optional<fs::path> folder_variable(const char* name) {
    const auto value = variable(name);
    // The XDG base directory specification says to ignore relative paths.
    return value && value->starts_with('/') ? std::optional<fs::path>(*value) : std::nullopt;
}

} // namespace

fs::path home() {
    if (const auto folder = folder_variable("HOME"))
        return *folder;
    if (const passwd* entry = ::getpwuid(::getuid()); entry != nullptr && entry->pw_dir != nullptr)
        return entry->pw_dir;
    throw Error(Errc::not_found, "no home folder", "set HOME");
}

fs::path ssh_folder() {
    return home() / ".ssh";
}

fs::path default_socket() {
    if (const auto path = variable("SSH_TPM_AUTH_SOCK"); path && !path->empty())
        return *path;
    if (const auto folder = folder_variable("XDG_RUNTIME_DIR"))
        return *folder / socket_name;
    const auto run = fs::path("/run/user") / std::to_string(::getuid());
    std::error_code ignored;
    if (fs::is_directory(run, ignored))
        return run / socket_name;
    return ssh_folder() / "agent" / socket_name;
}

fs::path command_socket(pid_t process) {
    std::string name(before_process);
    name.append(std::to_string(process)).append(after_process);
    return default_socket().replace_filename(name);
}

bool is_command_socket(std::string_view file_name) {
    if (!file_name.starts_with(before_process) || !file_name.ends_with(after_process) ||
        file_name.size() <= before_process.size() + after_process.size())
        return false;
    file_name.remove_prefix(before_process.size());
    file_name.remove_suffix(after_process.size());
    return file_name.find_first_not_of("0123456789") == std::string_view::npos;
}

fs::path state_folder() {
    const auto state = folder_variable("XDG_STATE_HOME");
    return (state ? *state : home() / ".local" / "state") / "ssh-tpm";
}

fs::path emulator_state() {
    if (const auto path = variable("SSH_TPM_SWTPM_STATE"); path && !path->empty())
        return fs::absolute(*path);
    return state_folder() / "swtpm";
}

std::string user_at_host() {
    const passwd* entry = ::getpwuid(::getuid());
    const auto user = entry != nullptr ? std::string(entry->pw_name) : std::to_string(::getuid());
    return user + "@" + host_name();
}

} // namespace sshtpm::os
