#pragma once
// A new PIN for a key.

#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"

#include <optional>

namespace sshtpm::tpm {

class Device;

/// TPM2_ObjectChangeAuth through a salted session that encrypts the new value.
/// @returns the key file with its new private area and emptyAuth; nothing when the TPM refused the old PIN.
/// Dictionary-attack protection stays as the key was made with: it is an attribute of the public area. A key
/// that is exempt (noDA) and gets a PIN could be guessed without limit.
std::optional<keyfile::KeyFile> change_auth(Device& device, const keyfile::KeyFile& key, const Auth& old_auth,
                                            const Auth& new_auth);

} // namespace sshtpm::tpm
