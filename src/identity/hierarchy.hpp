// SPDX-License-Identifier: MIT
#pragma once
// The keys that a TPM derives from the seed of a hierarchy. No file stores them, because the TPM can make the
// same keys again.

#include "base/error.hpp"
#include "identity/identity.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::identity {

/// A host key's type, as in its file's name, and as ssh-keygen names it.
struct HostKeyType {
    std::string_view word, label;
    tpm::KeyAlgorithm algorithm;
};

inline constexpr std::array host_key_types{
    HostKeyType{"ecdsa", "ECDSA", {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}},
    HostKeyType{"rsa", "RSA", {TPM2_ALG_RSA, 0, 2048}},
};

/// The names of host keys' files begin with it.
inline constexpr std::string_view host_key_prefix = "ssh_tpm_host_";

inline bool has_host_key_name(const std::filesystem::path& file) {
    return file.filename().native().starts_with(host_key_prefix);
}

/// Blocking; call it in a job of Tpm::run. @throws Error as tpm::make_primary_key does
Identity hierarchy_identity(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy, const HostKeyType& type,
                            const std::string& comment);

/// The keys of all types that the TPM supports, with comments such as "endorsement ecdsa host key"; logs the
/// names of the other types. Blocking; call it in a job of Tpm::run.
/// @throws Error(unsupported) if the TPM supports no type, and as tpm::make_primary_key does
std::vector<Identity> hierarchy_identities(tpm::Tpm& tpm, const tpm::Hierarchy& hierarchy);

/// The error for a TPM that supports no type.
Error no_host_key_type();

} // namespace sshtpm::identity
