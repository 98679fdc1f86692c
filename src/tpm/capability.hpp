#pragma once
// The key algorithms of this TPM, asked from it.

#include "tpm/context.hpp"
#include "tpm/templates.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sshtpm::tpm {

/// Asks the TPM about the parameters of such a signing key (TPM2_TestParms).
bool supports(const Context& context, const KeyAlgorithm& algorithm);

/// @throws Error(unsupported), with the list of what the TPM has, for an algorithm that it lacks.
void require_support(const Context& context, const KeyAlgorithm& algorithm);

/// For SSH; every TPM that has a type has the first one of it.
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

/// 256, 384 or 521 for ECDSA; of the modulus for RSA.
unsigned bits_of(const KeyAlgorithm& algorithm);

/// "ECDSA 256", "RSA 2048".
std::string describe(const KeyAlgorithm& algorithm);

/// TPM2_GetCapability from `first` on, as many as the TPM gives at once.
EsysOutput<TPMS_CAPABILITY_DATA> read_capability(const Context& context, TPM2_CAP capability, UINT32 first,
                                                 UINT32 most);

} // namespace sshtpm::tpm
