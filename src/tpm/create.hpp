#pragma once
// Key files: created, imported, and given another PIN. All of this blocks, and belongs in a job of Tpm::run.

#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"
#include "tpm/templates.hpp"

#include <optional>

namespace sshtpm::tpm {

class Tpm;

/// Makes a signing key under a hierarchy's storage key or a persistent one (TPM2_Create). With an auth value
/// the command goes through a salted session that encrypts it; keys without one are exempt from
/// dictionary-attack protection. The key file names the parent as StorageKeys::open_for_creation has it, and
/// has no description yet.
keyfile::KeyFile create_key(Tpm& tpm, const KeyAlgorithm& algorithm, const Auth& auth,
                            TPM2_HANDLE parent = TPM2_RH_OWNER);

/// A key of the template `hierarchy_key`, with its public half; its first use costs no TPM2_CreatePrimary. No
/// description yet.
/// @throws Error(auth) for a hierarchy with a password that was not given or cannot be, Error(tpm) for a
///     hierarchy that is disabled.
keyfile::KeyFile make_primary_key(Tpm& tpm, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm);

/// From an importable key file to one that loads in this TPM (TPM2_Import), under the parent that the file
/// names; for the owner's storage key, under the key at 0x81000001 too. The result names the parent that took
/// it, as StorageKeys::open_for_creation has it. The seed and the private area are sealed to that parent, so
/// nothing secret is on the bus.
/// @throws Error(foreign_key) when the key was wrapped for another TPM's parent.
keyfile::KeyFile import_key(Tpm& tpm, const keyfile::KeyFile& importable);

/// The public area of the parent of new keys (TPM2_ReadPublic), for wrapping a key to it.
TPMT_PUBLIC storage_key_area(Tpm& tpm, TPM2_HANDLE parent);

/// A new PIN for a key: TPM2_ObjectChangeAuth through a salted session that encrypts the new value.
/// @returns the key file with its new private area and emptyAuth; nothing when the TPM refused the old PIN.
/// Dictionary-attack protection stays as the key was made with: it is an attribute of the public area. A key
/// that is exempt (noDA) and gets a PIN could be guessed without limit.
std::optional<keyfile::KeyFile> change_auth(Tpm& tpm, const keyfile::KeyFile& key, const Auth& old_auth,
                                            const Auth& new_auth);

} // namespace sshtpm::tpm
