#pragma once
// Making keys, for the modes of keygen that do.

#include "applets/keygen.hpp"
#include "identity/identity.hpp"
#include "tpm/capability.hpp"

namespace sshtpm::applets {

/// From -t and -b. @throws Error(usage), listing what there is.
tpm::KeyAlgorithm choose_algorithm(const std::string& type, std::optional<unsigned> bits);

/// @throws Error(usage) for a comment that no key file may have.
void require_comment(const std::string& comment);

/// A key made in the TPM, tried with one signature, and its signature checked.
identity::Identity make_key(tpm::Device& device, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent);

} // namespace sshtpm::applets
