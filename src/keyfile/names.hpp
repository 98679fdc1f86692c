#pragma once
// What messages call the numbers of the TPM: the names of the TCG Algorithm Registry and of the TPM 2.0
// Library specification, part 2; a number without a name in hexadecimal.

#include <string>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::keyfile {

/// "RSAPSS"; "0x0099" for a number that no TPM2_ALG_ID has.
std::string algorithm_name(TPM2_ALG_ID algorithm);
/// "NIST P-256"; "0x0099" for a curve that the registry does not have.
std::string curve_name(TPM2_ECC_CURVE curve);
/// "TPM2_PolicyPCR"; "command 0x0000017b" for a command that is none of a policy.
std::string policy_command_name(TPM2_CC command);
/// "0x81000001".
std::string handle_name(TPM2_HANDLE handle);

} // namespace sshtpm::keyfile
