#pragma once
// From an importable key file to one that loads in this TPM.

#include "keyfile/key_file.hpp"

namespace sshtpm::tpm {

class Device;

/// TPM2_Import under the parent that the file names; for the owner's storage key, under the key at 0x81000001
/// too. The result names the parent that took it, as Parents::open_for_creation has it. The seed and the
/// private area are sealed to that parent, so nothing secret is on the bus. @throws Error(foreign_key) when
/// the key was wrapped for another TPM's parent.
keyfile::KeyFile import_key(Device& device, const keyfile::KeyFile& importable);

/// The public area of the parent that new keys hang under (TPM2_ReadPublic), for wrapping a key to it.
TPMT_PUBLIC storage_key_area(Device& device, TPM2_HANDLE parent);

} // namespace sshtpm::tpm
