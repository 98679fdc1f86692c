#pragma once
// Response codes, and the Errors for them, which name the call, the cause and a remedy for a person.

#include "base/error.hpp"

#include <initializer_list>

#include <tss2/tss2_common.h>

namespace sshtpm::tpm {

/// Without the layer and the number of a session, handle or parameter (TPM 2.0 Part 2, 6.6):
/// TPM2_RC_AUTH_FAIL for 0x98E. Codes of ESYS, SYS and TCTI stay whole.
TSS2_RC base_code(TSS2_RC rc) noexcept;

/// @param number the parameter's position in the command, from 1.
bool is_about_parameter(TSS2_RC rc, unsigned number) noexcept;

/// Of codes that are not the request's fault.
enum class Remedy {
    none,      ///< the error is the answer
    wait,      ///< the TPM is busy: the same command again (Tcti), for up to TimeLimits::tpm_busy
    make_room, ///< its slots or sessions are taken: our own are flushed, and the job runs again (Tpm::run)
    reload,    ///< it has lost a handle of ours: all are given back, and the job runs again
};

Remedy remedy_for(TSS2_RC rc) noexcept;

/// @throws Error unless rc is success.
void check(const char* call, TSS2_RC rc);

/// @returns the base code, when it is success or one of `expected`. @throws Error for any other.
TSS2_RC check_expecting(const char* call, TSS2_RC rc, std::initializer_list<TSS2_RC> expected);

Error error_of(const char* call, TSS2_RC rc);

} // namespace sshtpm::tpm
