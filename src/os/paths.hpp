// SPDX-License-Identifier: MIT
#pragma once
// Paths of this user, and the user's name.

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace sshtpm::os {

/// $HOME, else the home folder in the user database. @throws Error(not_found)
std::filesystem::path home();

/// ~/.ssh, where OpenSSH keeps a user's keys.
std::filesystem::path ssh_folder();

/// The agent's socket: $SSH_TPM_AUTH_SOCK, else in $XDG_RUNTIME_DIR, else in /run/user/UID if that folder
/// exists, else in ~/.ssh/agent. Not in /tmp, where another user could make the socket first.
std::filesystem::path default_socket();

/// The socket of an agent that runs a command: in the folder of default_socket, where another agent may
/// listen already.
/// @param process the command's
std::filesystem::path command_socket(pid_t process);

/// True for the names of files that command_socket gives.
bool is_command_socket(std::string_view file_name);

/// $XDG_STATE_HOME/ssh-tpm, else ~/.local/state/ssh-tpm. @throws Error(not_found)
std::filesystem::path state_folder();

/// The emulator's state folder: $SSH_TPM_SWTPM_STATE, else "swtpm" in state_folder().
std::filesystem::path emulator_state();

/// "user@host", as in the default comment of ssh-keygen.
std::string user_at_host();

} // namespace sshtpm::os
