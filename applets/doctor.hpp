// SPDX-License-Identifier: MIT
#pragma once
// The sections of ssh-tpm-doctor. Each runs in a process of its own, which ends with it. They write no file,
// leave nothing in the TPM, and use no PIN.

#include "cli/findings.hpp"
#include "tpm/tpm.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sshtpm::applets {

void check_system(cli::Findings& findings);
void check_tpm(cli::Findings& findings, const tpm::Target& target);
void check_agents(cli::Findings& findings);
void check_files(cli::Findings& findings);
void check_host(cli::Findings& findings);

/// The part of check_tpm that needs no connection: the device of a TCTI "device:…", or the emulator's folder.
/// @returns false if there is nothing to connect to
bool check_device(cli::Findings& findings, const tpm::Target& target);

/// Adds an error as a finding, with the error's hint.
void add_error(cli::Findings& findings, cli::Verdict verdict, const std::string& check,
               const std::string& subject, const Error& error);

struct ProgramOutput {
    int status = 0;
    std::string text;
};

enum class Streams { output, output_and_errors };

/// Runs another program, with its output cut at 64 KiB.
/// @returns nothing if it cannot be started, or does not end within TimeLimits::doctor_program
std::optional<ProgramOutput> output_of(const std::vector<std::string>& command,
                                       Streams streams = Streams::output);

/// For root, a machine without an agent and keys of its own is normal: it may serve host keys alone.
bool is_root();

} // namespace sshtpm::applets
