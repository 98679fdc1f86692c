// SPDX-License-Identifier: MIT
#pragma once
// Creates and imports key files, and changes their PINs. All functions block; call them in a job of Tpm::run.

#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"
#include "tpm/templates.hpp"

#include <optional>

namespace sshtpm::tpm {

class Tpm;

/// Makes a signing key under a hierarchy's storage key or a persistent one (TPM2_Create); an RSA key for the
/// use that rsa_use says. With an auth value, the command goes through a salted session that encrypts it;
/// keys without an auth value are exempt from dictionary-attack protection. The key file names the parent as
/// StorageKeys::open_for_creation does, and has no description yet.
keyfile::KeyFile create_key(Tpm& tpm, const KeyAlgorithm& algorithm, const Auth& auth,
                            TPM2_HANDLE parent = TPM2_RH_OWNER);

/// Makes a primary key of the template `hierarchy_key`, with its public half. Its first use then needs no
/// TPM2_CreatePrimary. The key file has no description yet.
/// @throws Error(auth) for a hierarchy whose password was not given or cannot be, Error(tpm) for a disabled
///     hierarchy
keyfile::KeyFile make_primary_key(Tpm& tpm, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm);

/// Turns an importable key file into one that this TPM can load (TPM2_Import), under the parent that the file
/// names; for the owner's storage key, also under the key at 0x81000001. The result names the parent that
/// accepted the key, as StorageKeys::open_for_creation does. The seed and the private area are encrypted for
/// that parent, so nothing secret is on the bus.
/// @throws Error(foreign_key) if the key was wrapped for another TPM's parent
keyfile::KeyFile import_key(Tpm& tpm, const keyfile::KeyFile& importable);

/// The public area of the parent of new keys (TPM2_ReadPublic), to wrap a key for it.
/// @throws Error(unsupported) for a parent for which keyfile::wrap cannot wrap keys
TPMT_PUBLIC storage_key_area(Tpm& tpm, TPM2_HANDLE parent);

/// Changes the PIN of a key (TPM2_ObjectChangeAuth), through a salted session that encrypts the new value.
/// Dictionary-attack protection does not change, because it is an attribute of the public area. A key that is
/// exempt (noDA) and gets a PIN can be guessed without limit.
/// @returns the key file with its new private area and emptyAuth; nothing if the TPM refused the old PIN
std::optional<keyfile::KeyFile> change_auth(Tpm& tpm, const keyfile::KeyFile& key, const Auth& old_auth,
                                            const Auth& new_auth);

} // namespace sshtpm::tpm
