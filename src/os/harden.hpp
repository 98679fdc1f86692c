#pragma once
// Settings of this process: protection of its secrets, and limits on its resources.

#include <cstddef>

namespace sshtpm::os {

/// The first call of every applet.
/// - Closed standard descriptors become /dev/null, which cannot be written to.
/// - The process is not dumpable: no core file, and no ptrace or /proc/PID/mem for others of the same user.
/// - The core limit is 0, the umask 077.
/// - Signals have their defaults and none is blocked. But SIGPIPE is ignored, and so are SIGHUP, SIGINT and
///   SIGQUIT if the parent ignored them.
/// - tpm2-tss does not log: at its debug level it writes PINs.
void harden_process();

/// Whether harden_process found a signal ignored, as nohup(1) leaves SIGHUP.
bool was_ignored_at_start(int signal);

/// Restores what a program started by exec inherits: core limit, umask, ignored and blocked signals, TSS2_LOG
/// and TSS2_LOGFILE. For a process that is about to run a user's command.
void undo_harden_before_exec();

/// Closes every descriptor from `first` on, because the parent may have left open one that a PIN could be
/// written to. Call it before this process opens its own.
void close_stray_descriptors(int first);

/// Sets RLIMIT_NOFILE's soft limit to the hard one, because each client needs a descriptor. Commands run by
/// this process inherit it, so do not call it where a user's command is run.
void raise_descriptor_limit();

/// How many more descriptors this process may open. @throws Error(io)
std::size_t free_descriptors();

/// Makes free() return large buffers to the system. By default glibc keeps them once one has been freed
/// (mallopt(3), M_MMAP_THRESHOLD).
void return_large_buffers();

} // namespace sshtpm::os
