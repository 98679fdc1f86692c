#pragma once
// The only way out of an ESYS call. Response codes lose what says where an error came from (layer, session,
// handle and parameter number: TPM 2.0 Part 2, 6.6) and become an Error that names the call, its cause and
// what a person can do.

#include "base/error.hpp"

#include <initializer_list>

#include <tss2/tss2_common.h>

namespace sshtpm::tpm {

/// The code alone: TPM2_RC_AUTH_FAIL for 0x98E. Codes of the layers above the TPM (ESYS, TCTI) stay whole.
TSS2_RC base_code(TSS2_RC rc) noexcept;

/// True for a TPM's response code that is about this parameter of the command, counted from 1.
bool is_about_parameter(TSS2_RC rc, unsigned number) noexcept;

/// True for a code that the TPM itself answered with, false for those of ESYS, SYS and the TCTI.
bool is_tpm_code(TSS2_RC rc) noexcept;

/// @throws Error unless rc is success.
void check(const char* call, TSS2_RC rc);

/// Hands back the base code when it is success or one of `expected`, for callers that act on it.
/// @throws Error for any other.
TSS2_RC check_expecting(const char* call, TSS2_RC rc, std::initializer_list<TSS2_RC> expected);

/// The Error that stands for a response code.
Error error_of(const char* call, TSS2_RC rc);

} // namespace sshtpm::tpm
