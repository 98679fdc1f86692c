#pragma once
// pidfd_open(2), for which glibc has a function from 2.36 on.

#include "base/unique_fd.hpp"

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace sshtpm::os {

/// Readable once the process has ended. Empty, with errno set, when it cannot be had.
inline UniqueFd open_pidfd(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

} // namespace sshtpm::os
