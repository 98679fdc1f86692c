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
int hostkeys_list(const std::filesystem::path& socket);
int hostkeys_check(const std::filesystem::path& socket);
int hostkeys_install(const HostkeysOptions& options);
int hostkeys_uninstall(bool force);

/// The user's units, for ssh-tpm-agent --install-user-units: in ~/.config/systemd/user, or for all users.
int install_user_units(bool for_all, bool force);

/// Asks sshd whether the drop-in is right and whether it reads it, and the agent for a signature with each of
/// its HostKeys: without any, nobody could log in any more. Warns of those with which it does not sign.
/// @throws Error(refused)
void expect_logins_to_work();

/// Asks sshd whether it has another host key once the drop-in is gone.
/// @throws Error(refused), but warns with `force`.
void expect_sshd_to_go_on(bool force);

} // namespace sshtpm::applets
