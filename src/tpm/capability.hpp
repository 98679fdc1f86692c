#pragma once
// What this TPM can do, asked from it.

#include "tpm/templates.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace sshtpm::tpm {

class Context;

/// True when the TPM takes the parameters of such a signing key (TPM2_TestParms).
bool supports(const Context& context, const KeyAlgorithm& algorithm);

/// What SSH signs with; the first of a type is the one that every TPM with this type has.
inline constexpr std::array usual_algorithms{
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0},
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0},
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 2048},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 3072},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 4096},
};

/// Those of the usual ones that this TPM has, in their order.
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
