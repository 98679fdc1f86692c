#pragma once
// How long a TPM may take for a command before it counts as one that does not answer.

#include "base/bytes.hpp"

#include <chrono>
#include <string>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// TimeLimits::tpm_key_command for commands that make or take in a key, else TimeLimits::tpm_command: so
/// for TPM2_CreatePrimary of an ECC key too, which takes no longer than a signature and may come in front of
/// one.
/// @param command the whole of it, of at least `header_size` bytes.
std::chrono::milliseconds command_deadline(ByteView command) noexcept;

/// "TPM2_Sign" (TPM 2.0 Part 2, 6.5.2) for the commands of this program, "TPM2 command 0x…" for others.
std::string command_name(TPM2_CC command);

} // namespace sshtpm::tpm
