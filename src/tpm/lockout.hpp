// SPDX-License-Identifier: MIT
#pragma once
// Dictionary-attack protection: its state, and texts about it for a person.

#include "base/error.hpp"
#include "keyfile/key_file.hpp"
#include "tpm/context.hpp"

#include <cstdint>
#include <string>

namespace sshtpm::tpm {

/// The state of dictionary-attack protection (TPM 2.0 Part 1, 19.8; its parameters: Part 3, 25.3).
struct Lockout {
    bool active = false;            ///< guarded keys are refused now
    std::uint32_t failures = 0;     ///< TPM_PT_LOCKOUT_COUNTER
    std::uint32_t max_failures = 0; ///< TPM_PT_MAX_AUTH_FAIL
    std::uint32_t interval = 0;     ///< seconds until one failure is forgotten; 0: none is ever counted
    /// TPM_PT_LOCKOUT_RECOVERY: seconds until the lockout password may be tried again after a wrong one; 0:
    /// not before the TPM is reset.
    std::uint32_t recovery = 0;
    bool password_set = false; ///< the TPM has a lockout password

    bool counts() const noexcept { return interval != 0; }
    /// The number of wrong PINs until the lockout.
    std::uint32_t tries_left() const noexcept {
        return failures < max_failures ? max_failures - failures : 0;
    }
    /// True if one more wrong PIN locks the TPM.
    bool last_try() const noexcept { return counts() && tries_left() <= 1; }
};

/// For a key that is exempt (noDA): it is never locked, and its wrong PINs are not counted.
inline constexpr Lockout not_counted{};

Lockout read_lockout(const Context& context);

/// "every 10 minutes", "every hour", "about every 17 minutes".
std::string every(std::uint32_t seconds);

/// The number of wrong PINs that are left; for a locked TPM, the times until one try and all tries come back.
std::string lockout_text(const Lockout& lockout);

/// How to end a lockout at once, and the cost of a wrong lockout password.
std::string lockout_hint(const Lockout& lockout);

/// The error for TPM_RC_LOCKOUT, with the duration of the lockout.
Error lockout_error(const Context& context, const char* call);

/// Checks the result of a command with a key's auth value. @returns false if the TPM refused the value
/// @throws Error for any other failure; for TPM_RC_LOCKOUT it includes the duration
bool auth_was_accepted(const Context& context, const char* call, TSS2_RC rc);

/// True if the TPM counts wrong PINs of this key: it is not exempt (noDA).
bool counts_wrong_pins(const keyfile::KeyFile& key) noexcept;

/// The hint for a wrong PIN of this key, from the present counter.
std::string wrong_pin_hint(const Context& context, const keyfile::KeyFile& key);

} // namespace sshtpm::tpm
