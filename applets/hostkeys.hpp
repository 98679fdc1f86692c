// SPDX-License-Identifier: MIT
#pragma once
// The options of ssh-tpm-hostkeys, and the function of each mode.

#include "applets/tpm_options.hpp"
#include "base/unique_fd.hpp"

#include <filesystem>

namespace sshtpm::applets {

inline constexpr const char* system_socket = "/run/ssh-tpm-agent/agent.sock";

struct HostkeysOptions {
    std::filesystem::path socket = system_socket;
    bool system_units = false, sshd_config = false, force = false;
    bool yes = false; ///< --renew does not ask
    TpmOptions tpm;   ///< of --renew
};

// Each @returns the exit status.
int hostkeys_list(const std::filesystem::path& socket);
int hostkeys_check(const std::filesystem::path& socket);
int hostkeys_install(const HostkeysOptions& options);
int hostkeys_uninstall(bool force);
int hostkeys_renew(const HostkeysOptions& options);

/// ssh-tpm-agent --install-user-units: in ~/.config/systemd/user, or for all users.
int install_user_units(bool for_all, bool force);

/// Locks the system's files, because two runs at once would take back each other's files. The lock is not on
/// a file that other users can open, since they could lock it too.
/// @returns nothing for a tree (DESTDIR), and for a user who may not write to /run
UniqueFd lock_system_files();

/// Checks that sshd accepts and reads the drop-in, and that the agent signs with at least one host key,
/// because sshd serves no login without one. Warns of host keys that do not work. @throws Error(refused)
void expect_logins_to_work();

/// Checks that sshd names no agent of our units, and accepts its configuration without the drop-in if that
/// was removed, for which it needs another host key. @throws Error(refused), but only warns with `force`
void expect_sshd_to_go_on(bool had_config, bool force);

} // namespace sshtpm::applets
