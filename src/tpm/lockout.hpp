#pragma once
// Dictionary-attack protection in words.

#include "base/error.hpp"
#include "keyfile/key_file.hpp"
#include "tpm/capability.hpp"

#include <cstdint>
#include <string>

namespace sshtpm::tpm {

/// "every 10 minutes", "every hour", "about every 17 minutes".
std::string every(std::uint32_t seconds);

/// For a person: how many wrong PINs are left, or, of a locked TPM, how long one try takes to come back and
/// all of them.
std::string lockout_text(const Lockout& lockout);

/// What ends a lockout at once, and what a wrong lockout password costs.
std::string lockout_hint(const Lockout& lockout);

/// The Error for TPM_RC_LOCKOUT that `call` was answered with; asks the TPM for the time that it takes.
Error lockout_error(const Context& context, const char* call);

/// True when wrong PINs of this key are counted: it is not exempt (noDA).
bool counts_wrong_pins(const keyfile::KeyFile& key) noexcept;

/// The hint for a wrong PIN of this key, from the counter as it is now.
std::string wrong_pin_hint(const Context& context, const keyfile::KeyFile& key);

} // namespace sshtpm::tpm
