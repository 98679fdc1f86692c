#pragma once
// Primary keys: made from a hierarchy's seed and a template, the same one every time.

#include "tpm/handle.hpp"

namespace sshtpm::tpm {

class Context;

/// Where TCG's provisioning guidance, systemd and others keep the owner's storage key.
inline constexpr TPM2_HANDLE srk_handle = 0x81000001;

/// TPM2_CreatePrimary with empty auth values.
/// @param hierarchy ESYS_TR_RH_OWNER and its like.
Handle create_primary(const Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template);

} // namespace sshtpm::tpm
