// SPDX-License-Identifier: MIT
#pragma once
// Names of the TPM's numbers for messages, from the TCG Algorithm Registry and part 2 of the TPM 2.0 Library
// specification. Numbers without a name are written in hexadecimal.

#include <string>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// "RSAPSS", "0x0099".
std::string algorithm_name(TPM2_ALG_ID algorithm);
/// "NIST P-256", "0x0099".
std::string curve_name(TPM2_ECC_CURVE curve);
/// "TPM2_PolicyPCR"; "command 0x0000017b" for a command that belongs to no policy.
std::string policy_command_name(TPM2_CC command);
/// "0x81000001".
std::string handle_name(TPM2_HANDLE handle);

} // namespace sshtpm::keyfile
