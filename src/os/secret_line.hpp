// SPDX-License-Identifier: MIT
#pragma once
// Reads a PIN or a password from a file that a person has named, such as a systemd credential.

#include "base/secret.hpp"
#include "base/unique_fd.hpp"

#include <string>
#include <sys/types.h>

namespace sshtpm::os {

/// Reads the first line without its line feed, and without a carriage return before that. Reads no byte
/// behind it, so that standard input may go on with answers. Waits for a FIFO.
/// @param path "-" for standard input
/// @param most the largest length in bytes
/// @throws Error(permission) if other users can read the file; Error(refused) for a terminal;
///     Error(malformed) for a line that is empty, too long, or has a NUL byte; Error as open(2) and read(2)
Secret read_secret_line(const std::string& path, std::size_t most);

/// The same from an open descriptor, without a check of its readers. @param name for errors
Secret read_secret_line(const UniqueFd& file, const std::string& name, std::size_t most);

/// Puts a secret into a pipe, for read_secret_line in a forked child: there the memory of a Secret is zeroed.
/// @returns the end to read from
UniqueFd pipe_holding(const Secret& secret);

/// Whether an access control list gives a right to a group, or to a user other than `own` and root. With a
/// list, the group bits of a file's mode are only the upper limit of its rights (acl(5)).
/// @param acl the extended attribute system.posix_acl_access (linux/posix_acl_xattr.h); true if it does not
///     parse
bool lets_others_in(ByteView acl, uid_t own) noexcept;

} // namespace sshtpm::os
