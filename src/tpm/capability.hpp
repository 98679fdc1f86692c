#pragma once
// What this TPM can do, asked from it.

#include "tpm/templates.hpp"

#include <cstdint>
#include <vector>

namespace sshtpm::tpm {

class Context;

/// True when the TPM takes the parameters of such a signing key (TPM2_TestParms).
bool supports(const Context& context, const KeyAlgorithm& algorithm);

/// Those of ECDSA P-256, P-384, P-521 and RSA 2048, 3072, 4096 that this TPM has, in this order.
std::vector<KeyAlgorithm> supported_algorithms(const Context& context);

/// The state of dictionary-attack protection (TPM 2.0 Part 1, 19.8; its parameters: Part 3, 25.3).
struct Lockout {
    bool active = false;            ///< guarded keys are refused now
    std::uint32_t failures = 0;     ///< TPM_PT_LOCKOUT_COUNTER
    std::uint32_t max_failures = 0; ///< TPM_PT_MAX_AUTH_FAIL
    std::uint32_t interval = 0;     ///< seconds until one failure is forgotten; 0: none is ever counted
    /// TPM_PT_LOCKOUT_RECOVERY, of the lockout password alone: seconds until it may be tried again after a
    /// wrong one; 0: not before the TPM is reset.
    std::uint32_t recovery = 0;
    bool password_set = false; ///< there is a lockout password

    /// Of the wrong PINs that it takes.
    std::uint32_t tries_left() const noexcept {
        return failures < max_failures ? max_failures - failures : 0;
    }
    /// True when one more wrong PIN locks the TPM.
    bool last_try() const noexcept { return interval != 0 && tries_left() <= 1; }
};

Lockout read_lockout(const Context& context);

} // namespace sshtpm::tpm
