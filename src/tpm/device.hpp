// SPDX-License-Identifier: MIT
#pragma once
// Why a TPM's device of the kernel, such as /dev/tpmrm0, cannot be used. tpm2-tss reports "IO failure" for
// all of it.

#include <string>

namespace sshtpm::tpm {

/// Checks that the path is a device that this process may open. tpm2-tss would write its commands into a
/// file.
/// @throws Error as `open_transport`
void require_device(const std::string& path);

/// @throws Error for a device that is not there (not_found), or that this process may not read and write
///     (permission, or refused if systemd's DeviceAllow= denies it)
void require_access(const std::string& path);

/// @throws Error with the reason why a device that passed `require_device` does not open
void explain_device(const std::string& path);

} // namespace sshtpm::tpm
