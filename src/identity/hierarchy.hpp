#pragma once
// The keys that a TPM makes from the seed of a hierarchy: no file holds them, and the same TPM always makes
// the same ones.

#include "base/error.hpp"
#include "identity/identity.hpp"
#include "tpm/hierarchy.hpp"
#include "tpm/templates.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::tpm {
class Device;
}

namespace sshtpm::identity {

/// A host key's type: what its file and ssh-keygen call it.
struct HostKeyType {
    std::string_view word, label;
    tpm::KeyAlgorithm algorithm;
};

inline constexpr std::array host_key_types{
    HostKeyType{"ecdsa", "ECDSA", {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0}},
    HostKeyType{"rsa", "RSA", {TPM2_ALG_RSA, 0, 2048}},
};

/// The key of one type. Blocking: for the thread that owns the device, within a turn.
/// @throws Error as tpm::make_primary_key does.
Identity hierarchy_identity(tpm::Device& device, const tpm::Hierarchy& hierarchy, const HostKeyType& type,
                            const std::string& comment);

/// The keys of all types that the TPM has, each called "endorsement ecdsa host key" or the like; those that
/// it lacks are named in the log. Blocking as above.
/// @throws Error(unsupported) when it lacks them all, and as tpm::make_primary_key does.
std::vector<Identity> hierarchy_identities(tpm::Device& device, const tpm::Hierarchy& hierarchy);

/// For a TPM that has none of the types.
Error no_host_key_type();

} // namespace sshtpm::identity
