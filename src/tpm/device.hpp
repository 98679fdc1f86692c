// SPDX-License-Identifier: MIT
#pragma once
// Opens a TPM's device of the kernel, such as /dev/tpmrm0, and tells why it cannot be used.

#include "base/unique_fd.hpp"

#include <string>

namespace sshtpm::tpm {

/// @throws Error for a device that is not there (not_found), or that this process may not read and write
///     (permission, or refused if systemd's DeviceAllow= denies it)
void require_access(const std::string& path);

/// Opens it for reading and writing, non-blocking. A file that is no device is refused, or commands would be
/// written into it.
/// @throws Error as `open_transport`
UniqueFd open_device(const std::string& path);

} // namespace sshtpm::tpm
