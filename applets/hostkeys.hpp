#pragma once
// The modes of ssh-tpm-hostkeys.

#include <filesystem>

namespace sshtpm::applets {

inline constexpr auto hostkeys_program = "ssh-tpm-hostkeys";
inline constexpr const char* system_socket = "/run/ssh-tpm-agent/agent.sock";

struct HostkeysOptions {
    std::filesystem::path socket = system_socket;
    bool system_units = false, sshd_config = false, force = false;
};

// Each @returns the exit status.
int hostkeys_list(const HostkeysOptions& options);
int hostkeys_check(const HostkeysOptions& options);
int hostkeys_install(const HostkeysOptions& options);
int hostkeys_uninstall(const HostkeysOptions& options);

/// The user's units, for ssh-tpm-agent --install-user-units: in ~/.config/systemd/user, or for all users.
int install_user_units(bool for_all, bool force);

} // namespace sshtpm::applets
