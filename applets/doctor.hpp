// SPDX-License-Identifier: MIT
#pragma once
// The sections of ssh-tpm-doctor. Each runs in a process of its own, which ends with it. They write no file,
// leave nothing in the TPM, and use no PIN.

#include "cli/findings.hpp"
#include "os/child.hpp"
#include "tpm/tpm.hpp"

#include <optional>
#include <string>
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

/// Runs another program.
/// @returns nothing if it cannot be started, does not end within TimeLimits::doctor_program, or prints more
///     than 64 KiB
std::optional<os::ProgramOutput> try_output_of(const std::vector<std::string>& command);

/// For root, a machine without an agent and keys of its own is normal: it may serve host keys alone.
bool is_root();

} // namespace sshtpm::applets
