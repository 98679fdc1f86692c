#pragma once
// Primary keys: made from a hierarchy's seed and a template, the same one every time.

#include "tpm/handle.hpp"

namespace sshtpm::tpm {

class Context;

/// Where TCG's provisioning guidance, systemd and others keep the owner's storage key.
inline constexpr TPM2_HANDLE srk_handle = 0x81000001;

/// TPM2_CreatePrimary of a key without an auth value.
/// @param hierarchy ESYS_TR_RH_OWNER and its like.
/// @param session ESYS_TR_PASSWORD for a hierarchy with an empty auth value, else an HMAC session; the auth
///     value is set on `hierarchy` by the caller.
/// @returns empty when the TPM refused the hierarchy's auth value. Hierarchies are not under
///     dictionary-attack protection (TPM 2.0 Part 1, 19.8), so that no try is lost.
Handle try_create_primary(const Context& context, ESYS_TR hierarchy, ESYS_TR session,
                          const TPM2B_PUBLIC& key_template);

/// The same in a hierarchy with an empty auth value. @throws Error(auth) when it has another.
Handle create_primary(const Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template);

} // namespace sshtpm::tpm
