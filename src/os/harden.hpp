// SPDX-License-Identifier: MIT
#pragma once
// Settings of this process: protection of its secrets, and limits on its resources.

#include <cstddef>
#include <initializer_list>
#include <sys/types.h>

namespace sshtpm::os {

/// The first call of every applet.
/// - Closed standard descriptors become /dev/null, which cannot be written to.
/// - The process is not dumpable: no core file, and no ptrace or /proc/PID/mem for others of the same user.
/// - The core limit is 0, the umask 077.
/// - Signals have their defaults and none is blocked. But SIGPIPE is ignored, and so are SIGHUP, SIGINT and
///   SIGQUIT if the parent ignored them.
/// - tpm2-tss does not log: at its debug level it writes PINs.
void harden_process();

/// True if the signal was ignored before harden_process, as nohup(1) does with SIGHUP.
bool was_ignored_at_start(int signal);

/// The umask before harden_process, for files that others may read.
mode_t umask_at_start();

/// Restores the settings that a program inherits through exec: core limit, umask, ignored and blocked
/// signals, TSS2_LOG and TSS2_LOGFILE. For a process that is about to run a user's command.
void undo_harden_before_exec();

/// Closes every descriptor from `first` on: a PIN could be written to one that the parent has left open. Call
/// it before this process opens its own. Async-signal-safe.
void close_stray_descriptors(int first);

/// Replaces descriptors by /dev/null. @throws Error(io)
void redirect_to_null(std::initializer_list<int> descriptors);

/// Sets RLIMIT_NOFILE's soft limit to the hard one, because each client needs a descriptor. Child processes
/// inherit the limit, so do not call it in a process that runs a user's command.
void raise_descriptor_limit();

/// @returns the number of descriptors that this process may still open, if it has opened them without gaps
/// @throws Error(io)
std::size_t free_descriptors();

/// Makes free() return large buffers to the system. By default, glibc keeps large buffers after it has freed
/// the first one (mallopt(3), M_MMAP_THRESHOLD).
void return_large_buffers();

} // namespace sshtpm::os
