#pragma once
// Where things lie for this user.

#include <filesystem>

namespace sshtpm::os {

/// $HOME, else the home folder in the user database. @throws Error(not_found)
std::filesystem::path home();

/// Where OpenSSH keeps a user's keys: ~/.ssh.
std::filesystem::path ssh_folder();

/// The agent's socket when nobody says where: $SSH_TPM_AUTH_SOCK, else in $XDG_RUNTIME_DIR, else in
/// /run/user/UID if that folder exists, else in ~/.ssh/agent. Never in a world-writable folder.
std::filesystem::path default_socket();

/// What programs keep for this user: $XDG_STATE_HOME/ssh-tpm, else ~/.local/state/ssh-tpm. @throws
/// Error(not_found)
std::filesystem::path state_folder();

/// The emulator's state folder: $SSH_TPM_SWTPM_STATE, else under $XDG_STATE_HOME, else under ~/.local/state.
std::filesystem::path emulator_state();

/// This host's name; empty when it has none.
std::string host_name();

/// "user@host", the comment that ssh-keygen gives a key by default.
std::string user_at_host();

} // namespace sshtpm::os
