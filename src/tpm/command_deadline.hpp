#pragma once
// How long a TPM may take for a command before it counts as one that does not answer.

#include "base/bytes.hpp"

#include <chrono>
#include <string>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// 10 s, and 180 s for commands that make keys or test the TPM. Signatures take 0.2 to 0.6 s on chips, RSA
/// keys up to a minute and more. TPM2_CreatePrimary of an ECC key, which takes no longer than a signature and
/// may come in front of one, has 10 s.
/// @param command the whole of it, of at least `header_size` bytes.
std::chrono::milliseconds command_deadline(ByteView command) noexcept;

/// "TPM2_Sign" (TPM 2.0 Part 2, 6.5.2) for the commands of this program, "TPM2 command 0x…" for others.
std::string command_name(TPM2_CC command);

} // namespace sshtpm::tpm
