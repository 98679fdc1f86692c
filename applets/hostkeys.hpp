// SPDX-License-Identifier: MIT
#pragma once
// The options of ssh-tpm-hostkeys, and the function of each mode.

#include "cli/findings.hpp"

#include <filesystem>

namespace sshtpm::applets {

inline constexpr const char* system_socket = "/run/ssh-tpm-agent/agent.sock";

struct HostkeysOptions {
    std::filesystem::path socket = system_socket;
    bool system_units = false, sshd_config = false, force = false, json = false;
};

// Each @returns the exit status.
int hostkeys_list(const std::filesystem::path& socket);
int hostkeys_check(const HostkeysOptions& options);
int hostkeys_install(const HostkeysOptions& options);
int hostkeys_uninstall(bool force);

/// Checks sshd's configuration, the agent at this socket, and sshd's host keys and certificates. Takes no
/// longer than the limit `host_agent`, if sshd answers within its own.
void check_host_keys(cli::Findings& findings, const std::filesystem::path& socket);

/// ssh-tpm-agent --install-user-units: in ~/.config/systemd/user, or for all users.
int install_user_units(bool for_all, bool force);

/// Checks that sshd accepts and reads the drop-in, and that the agent signs with at least one host key,
/// because sshd serves no login without one. Warns of host keys that do not work. @throws Error(refused)
void expect_logins_to_work();

/// Checks that sshd names no agent of our units, and accepts its configuration without the drop-in if that
/// was removed, for which it needs another host key. @throws Error(refused), but only warns with `force`
void expect_sshd_to_go_on(bool had_config, bool force);

} // namespace sshtpm::applets
