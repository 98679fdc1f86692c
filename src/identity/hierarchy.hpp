#pragma once
// The keys that a TPM makes from the seed of a hierarchy. They are in no file: a TPM makes the same ones
// again.

#include "base/error.hpp"
#include "identity/identity.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm.hpp"

#include <array>
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

/// Blocking, within a job of Tpm::run. @throws Error as tpm::make_primary_key does.
Identity hierarchy_identity(tpm::Tpm& device, const tpm::Hierarchy& hierarchy, const HostKeyType& type,
                            const std::string& comment);

/// Of all types that the TPM supports, with comments such as "endorsement ecdsa host key"; the other types
/// are named in the log. Blocking, within a job of Tpm::run.
/// @throws Error(unsupported) when the TPM supports none, and as tpm::make_primary_key does.
std::vector<Identity> hierarchy_identities(tpm::Tpm& device, const tpm::Hierarchy& hierarchy);

/// For a TPM that supports none of the types.
Error no_host_key_type();

} // namespace sshtpm::identity
