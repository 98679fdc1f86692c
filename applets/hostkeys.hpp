// SPDX-License-Identifier: MIT
#pragma once
// The options of ssh-tpm-hostkeys, and the function of each mode.

#include "applets/sshd_keys.hpp"
#include "applets/tpm_options.hpp"
#include "base/unique_fd.hpp"
#include "cli/findings.hpp"
#include "tpm/storage_keys.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::applets {

struct HostkeysOptions {
    std::optional<std::filesystem::path> socket; ///< --socket
    std::optional<tpm::Hierarchy> hierarchy;     ///< --hierarchy
    bool system_units = false, sshd_config = false, force = false, json = false;
    bool yes = false; ///< --renew does not ask
    TpmOptions tpm;   ///< of --renew
};

// Each @returns the exit status.
int hostkeys_list(const std::filesystem::path& socket);
int hostkeys_check(const HostkeysOptions& options);
int hostkeys_install(const HostkeysOptions& options);
int hostkeys_uninstall(bool force);
int hostkeys_renew(const HostkeysOptions& options);

/// Checks sshd's configuration, the agent, and sshd's host keys and certificates. Takes no longer than the
/// limit `host_agent`, if sshd answers within its own.
/// @param socket nothing: the agent that sshd asks, if it is one of the units
void check_host_keys(cli::Findings& findings, const std::optional<std::filesystem::path>& socket);

/// The socket of sshd's HostKeyAgent; empty for none. Nothing if sshd does not tell.
std::optional<std::string> agent_of_sshd();

/// ssh-tpm-agent --install-user-units: in ~/.config/systemd/user, or for all users.
int install_user_units(bool for_all, bool force);

/// Keeps two runs from undoing each other's files. The lock file is one that only root can open.
/// @returns nothing for a tree (DESTDIR), and for a user who may not write to /run
UniqueFd lock_system_files();

struct SshdDropIn;

/// Checks that sshd accepts and reads the drop-in, and that the agent signs with each host key that a client
/// may choose: the client tries no other one. Warns of keys that sign with some algorithms only, and of keys
/// that sshd no longer uses.
/// @param first the hint of an agent that does not answer: what must run before
/// @param before those of configured_sshd before the drop-in was written
/// @throws Error(refused)
void expect_logins_to_work(const SshdDropIn& drop_in, const std::string& first, const HostKeysByType& before);

/// What sshd's present files say.
struct ConfiguredSshd {
    HostKeysByType keys;                    ///< empty if sshd refuses the files
    std::optional<ssh::SshdLine> subsystem; ///< the line of another file than the drop-in for the same one
};
ConfiguredSshd configured_sshd();

/// Checks that sshd names no agent of our units, and accepts its configuration without the drop-in if that
/// was removed, for which it needs another host key. @throws Error(refused), but only warns with `force`
void expect_sshd_to_go_on(bool had_config, bool force);

} // namespace sshtpm::applets
