#pragma once
// The first lines of every applet: what keeps other programs out of a process that handles PINs.

namespace sshtpm::os {

/// Standard descriptors that are closed become /dev/null. Not dumpable (no core file, no ptrace and no
/// /proc/PID/mem for others of the same user), core limit 0, umask 077, SIGPIPE ignored. TSS2_LOG and
/// TSS2_LOGFILE are dropped and tpm2-tss is told to be silent: at its debug level it writes PINs.
void harden_process();

} // namespace sshtpm::os
