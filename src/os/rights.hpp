// SPDX-License-Identifier: MIT
#pragma once
// Rights that this process and its children give up for good, so that hostile input cannot use them.

namespace sshtpm::os {

/// Programs that this process runs get no rights from their files, such as set-user-ID ones (prctl(2),
/// PR_SET_NO_NEW_PRIVS).
void give_up_new_privileges() noexcept;

/// Gives up new privileges and all sockets but those of AF_UNIX: others fail with EAFNOSUPPORT, and io_uring,
/// which makes sockets too, with EPERM. Call it before this process starts threads.
/// @returns false if the kernel has no filters for system calls
bool give_up_network() noexcept;

} // namespace sshtpm::os
