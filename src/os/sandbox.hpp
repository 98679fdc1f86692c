// SPDX-License-Identifier: MIT
#pragma once
// Gives up the rights that this process does not need: to files by Landlock (landlock(7)), to system calls by
// seccomp(2).

#include <filesystem>
#include <string>
#include <vector>

namespace sshtpm::os {

/// The rights that are left. A path gives a right to itself and all below; a path that is missing gives none.
struct SandboxRules {
    std::vector<std::filesystem::path> readable = {};
    std::vector<std::filesystem::path> readable_files = {}; ///< as `readable`, but regular files alone
    /// Files and devices that may also be written; in a folder, files may be made, renamed and removed too.
    std::vector<std::filesystem::path> writable = {};
    std::filesystem::path removable = {}; ///< files there may be removed
    bool sockets = true;                  ///< UNIX sockets may be made and connected
    bool network = false;                 ///< sockets of all families instead of UNIX ones
    bool libraries = false;               ///< libraries may be loaded
};

/// Programs that this process runs get no rights from their files, such as set-user-ID ones (prctl(2),
/// PR_SET_NO_NEW_PRIVS).
void give_up_new_privileges() noexcept;

/// Gives up new privileges and all sockets but those of AF_UNIX, also for programs that this process runs:
/// others fail with EAFNOSUPPORT, and io_uring, which makes sockets too, with EPERM. Call it before this
/// process starts threads. If the kernel has no filters for system calls, the log says so at debug level.
void give_up_network();

/// The folders of the libraries that this process has loaded: more of them may be loaded from there.
std::vector<std::filesystem::path> library_folders();

/// Puts this thread, and the threads that it will start, into the sandbox for good, without new privileges. A
/// system call that is not allowed fails with EPERM; one that runs a program, reads another process, loads
/// code into the kernel, mounts, or uses the kernel's keyrings ends the process (SIGSYS).
/// @returns the number of Landlock's ABI in force; 0 for none, because the kernel has none
/// @throws Error(io) if the kernel refuses seccomp or a rule
int enter_sandbox(const SandboxRules& rules);

} // namespace sshtpm::os
