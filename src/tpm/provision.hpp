#pragma once
// Housekeeping in a TPM that is all ours: the emulator.

namespace sshtpm::tpm {

class Context;

/// TPM2_Startup(CLEAR), for a TPM that was reset; nothing comes of it where it has been started.
void start_up(const Context& context);

/// Keeps the standard ECC storage key persistent at 0x81000001, as operating systems do in a real TPM,
/// unless something is there already.
void provision(const Context& context);

/// Flushes every transient object and session. Only for a TPM that nobody else uses at the moment.
void flush_leftovers(const Context& context);

} // namespace sshtpm::tpm
