// SPDX-License-Identifier: MIT
#pragma once
// The sections of ssh-tpm-doctor. Each runs in a process of its own, which ends with it. They write no file,
// leave nothing in the TPM, and use no PIN.

#include "cli/findings.hpp"
#include "os/child.hpp"
#include "tpm/tpm.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sshtpm::applets {

void check_system(cli::Findings& findings);
/// @param of_host the same TPM, with the file of known TPMs of host keys, which root's run compares too
void check_tpm(cli::Findings& findings, const tpm::Target& target, const tpm::Target& of_host);
void check_agents(cli::Findings& findings);
void check_files(cli::Findings& findings);
void check_host(cli::Findings& findings);

/// The part of check_tpm that needs no connection: the device of a TCTI "device:…", or the emulator's folder.
/// @returns false if there is nothing to connect to
bool check_device(cli::Findings& findings, const tpm::Target& target);

/// What a path should be like.
struct PathRule {
    std::string check;                            ///< the name of the check
    std::optional<uid_t> owner;                   ///< nothing: any
    mode_t denied;                                ///< permissions that others must not have
    cli::Verdict if_open;                         ///< if they have one of them
    std::string open_text;                        ///< likewise
    std::string chmod;                            ///< the mode that takes them away: "go-w"
    cli::Verdict if_foreign = cli::Verdict::fail; ///< if it belongs to another user
    std::string foreign_hint = {};                ///< likewise; without it, the owner is to be looked at
};

/// The words for a key file without a PIN that others may read.
inline constexpr std::string_view open_key_file =
    "other users may use this file, and its key has no PIN: each user of the TPM can sign with it";

/// The finding about a symbolic link that leads nowhere, also in a loop; nothing for any other path.
std::optional<cli::Finding> check_link(const std::filesystem::path& path, const std::string& check);

/// The finding about the owner and the permissions of a path, or that of check_link; nothing if they are as
/// they should be, or there is no such path.
/// @throws Error if the path cannot be seen
std::optional<cli::Finding> check_path(const std::filesystem::path& path, const PathRule& rule);

/// Runs another program.
/// @returns nothing if it cannot be started, does not end within TimeLimits::doctor_program, or prints more
///     than 64 KiB
std::optional<os::ProgramOutput> try_output_of(const std::vector<std::string>& command);

/// For root, a machine without an agent and keys of its own is normal: it may serve host keys alone.
bool is_root();

} // namespace sshtpm::applets
