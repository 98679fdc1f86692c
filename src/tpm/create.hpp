#pragma once
// Making a key in the TPM.

#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"
#include "tpm/templates.hpp"

namespace sshtpm::tpm {

class Context;
class Device;

/// Makes a signing key under a hierarchy's storage key or a persistent one (TPM2_Create). With an auth value
/// the command goes through a salted session that encrypts it; keys without one are exempt from
/// dictionary-attack protection. The key file names the parent as Parents::open_for_creation has it. The key
/// file has no description yet.
keyfile::KeyFile create_key(Device& device, const KeyAlgorithm& algorithm, const Auth& auth,
                            TPM2_HANDLE parent = TPM2_RH_OWNER);

/// @throws Error(unsupported), with the list of what the TPM has, for an algorithm that it lacks.
void require_support(const Context& context, const KeyAlgorithm& algorithm);

/// 256, 384 or 521 of ECDSA, and of RSA the modulus'.
unsigned bits_of(const KeyAlgorithm& algorithm);

/// "ECDSA 256", "RSA 2048".
std::string describe(const KeyAlgorithm& algorithm);

} // namespace sshtpm::tpm
