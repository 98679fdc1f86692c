#pragma once
// The first lines of every applet: what keeps other programs out of a process that handles PINs.

namespace sshtpm::os {

/// Standard descriptors that are closed become /dev/null, which cannot be written to. Not dumpable (no core
/// file, no ptrace and no /proc/PID/mem for others of the same user), core limit 0, umask 077. Signals have
/// their defaults and none is blocked; but SIGPIPE is ignored, and SIGHUP, SIGINT and SIGQUIT if the parent
/// left them so. TSS2_LOG and TSS2_LOGFILE are dropped and tpm2-tss is told to be silent: at its debug level
/// it writes PINs.
void harden_process();

/// Whether harden_process found a signal ignored, as nohup(1) leaves SIGHUP.
bool was_ignored_at_start(int signal);

/// Gives back what harden_process took from the process and a program started by exec would inherit: core
/// limit, umask, ignored and blocked signals, TSS2_LOG, TSS2_LOGFILE. For a process that is about to become a
/// person's command.
void undo_harden_before_exec();

/// Closes every descriptor from `first` on: a careless parent may have left one that a PIN could reach. Only
/// before this process opens its own.
void close_stray_descriptors(int first);

} // namespace sshtpm::os
