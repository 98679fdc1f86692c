// SPDX-License-Identifier: MIT
#pragma once
// Response codes, and their Errors, which name the call, the cause and a remedy for a person.

#include "base/error.hpp"

#include <initializer_list>
#include <string_view>

#include <tss2/tss2_common.h>

namespace sshtpm::tpm {

/// The code without the layer and the number of a session, handle or parameter (TPM 2.0 Part 2, 6.6):
/// TPM2_RC_AUTH_FAIL for 0x98E. Codes of ESYS, SYS and TCTI are unchanged.
TSS2_RC base_code(TSS2_RC rc) noexcept;

/// True if the code is about this parameter. @param number the position in the command, from 1
bool is_about_parameter(TSS2_RC rc, unsigned number) noexcept;

/// The remedy for a code that is not the fault of the request.
enum class Remedy {
    none,      ///< report the error
    wait,      ///< the TPM is busy: send the same command again (Tcti), for up to TimeLimits::tpm_busy
    make_room, ///< no free slot or session: flush our own, and run the job again (Tpm::run)
    reload,    ///< a handle of ours is lost: flush all, and run the job again
};

Remedy remedy_for(TSS2_RC rc) noexcept;

/// A hint on a lockout for which the TPM's settings were not read.
inline constexpr std::string_view end_of_lockout =
    "until the TPM recovers it refuses the right PIN too; `tpm2_dictionarylockout --clear-lockout` ends it "
    "at once, with -p PASSWORD if the TPM has a lockout password; LOCKOUT in ssh-tpm(7) tells more";

/// @throws Error unless rc is success.
void check(const char* call, TSS2_RC rc);

/// @returns the base code if it is success or one of `expected`. @throws Error for any other
TSS2_RC check_expecting(const char* call, TSS2_RC rc, std::initializer_list<TSS2_RC> expected);

Error error_of(const char* call, TSS2_RC rc);

} // namespace sshtpm::tpm
