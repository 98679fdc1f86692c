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
identity::Identity make_key(tpm::Tpm& device, const tpm::KeyAlgorithm& algorithm, const tpm::Auth& auth,
                            const std::string& comment, TPM2_HANDLE parent);

/// The key with its new PIN, tried with one signature. @throws Error(auth) naming the file when `before` is
/// wrong.
identity::Identity change_pin(tpm::Tpm& device, const identity::Identity& identity, const tpm::Auth& before,
                              const tpm::Auth& after, const std::filesystem::path& file);

/// A word on stderr when the TPM's counting of wrong PINs, chosen as the key was made, does not fit the new
/// PIN.
void warn_of_protection(const keyfile::KeyFile& key, const tpm::Auth& after);

} // namespace sshtpm::applets
