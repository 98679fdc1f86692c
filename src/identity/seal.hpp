#pragma once
// Keys that were made outside the TPM, brought into it.

#include "identity/identity.hpp"
#include "ssh/private_key.hpp"
#include "tpm/session.hpp"

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {
class Device;
}

namespace sshtpm::identity {

/// An importable key file for the TPM whose storage key this is; no TPM is needed for it.
/// @param storage_key as keyfile::parse_parent or tpm::storage_key_area gives it.
/// @param parent what the file names as its parent: TPM2_RH_OWNER, or a persistent handle.
/// @throws Error(unsupported) for an RSA key whose exponent is not 65537.
keyfile::KeyFile wrap_for(const TPMT_PUBLIC& storage_key, const ssh::PrivateKey& key, const tpm::Auth& auth,
                          TPM2_HANDLE parent, const std::string& comment);

/// Imports a wrapped key under the parent that it names, and proves it with a signature. Blocking: for the
/// thread that owns the device, within a turn.
/// @param auth the auth value that was wrapped with the key.
/// @throws Error(unsupported) for a key that this TPM cannot hold, Error(foreign_key) when it was wrapped for
///     another one, Error(auth) when `auth` is wrong, and as make_identity does.
Identity unwrap(tpm::Device& device, const keyfile::KeyFile& wrapped, const tpm::Auth& auth,
                const std::string& fallback_comment);

/// Seals an outside key under the storage key of this TPM, as the two above do one behind the other. The
/// identity is of no file. Blocking: for the thread that owns the device, within a turn.
/// @param auth for the key from now on; null for none.
/// @throws Error as wrap_for and unwrap do.
Identity seal(tpm::Device& device, const ssh::PrivateKey& key, const tpm::Auth& auth, TPM2_HANDLE parent,
              const std::string& comment);

} // namespace sshtpm::identity
