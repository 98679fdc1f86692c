#pragma once
// Dictionary-attack protection in words.

#include "base/error.hpp"
#include "tpm/capability.hpp"

#include <string>

namespace sshtpm::tpm {

/// For a person: how many wrong PINs are left, or, of a locked TPM, how long one try takes to come back.
std::string lockout_text(const Lockout& lockout);

/// The Error for TPM_RC_LOCKOUT that `call` was answered with; asks the TPM for the time that it takes.
Error lockout_error(const Context& context, const char* call);

} // namespace sshtpm::tpm
