// SPDX-License-Identifier: MIT
#pragma once
// The key algorithms that this TPM supports.

#include "tpm/context.hpp"
#include "tpm/templates.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sshtpm::tpm {

/// Asks the TPM whether it supports signing keys of this algorithm (TPM2_TestParms), and the hash that keys
/// on this curve sign with.
bool supports(const Context& context, const KeyAlgorithm& algorithm);

/// @throws Error(unsupported) for an algorithm that this TPM lacks; the error lists the supported ones
void require_support(const Context& context, const KeyAlgorithm& algorithm);

/// The algorithms of SSH keys. A TPM that supports a type supports the first algorithm of the type.
inline constexpr std::array usual_algorithms{
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0},
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0},
    KeyAlgorithm{TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 2048},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 3072},
    KeyAlgorithm{TPM2_ALG_RSA, 0, 4096},
};

/// The usual algorithms that this TPM supports, in their order.
std::vector<KeyAlgorithm> supported_algorithms(const Context& context);

/// What new RSA keys of this TPM are made for. A TPM may have no hash but SHA-1 and SHA-256 (TCG PC Client
/// Platform TPM Profile), and OpenSSH prefers rsa-sha2-512: where SHA-512 is missing, RSA keys need decrypt.
/// @param type of the new key; for an ECC key, the TPM is not asked
RsaUse rsa_use(const Context& context, TPMI_ALG_PUBLIC type);

/// The key size in bits: 256, 384 or 521 for ECDSA, the size of the modulus for RSA.
unsigned bits_of(const KeyAlgorithm& algorithm);

/// "ECDSA 256", "RSA 2048".
std::string describe(const KeyAlgorithm& algorithm);

/// TPM2_GetCapability from `first` on. The TPM returns as many items as fit into one reply.
EsysOutput<TPMS_CAPABILITY_DATA> read_capability(const Context& context, TPM2_CAP capability, UINT32 first,
                                                 UINT32 most);

} // namespace sshtpm::tpm
