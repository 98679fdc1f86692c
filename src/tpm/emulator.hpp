#pragma once
// The emulator for trying things out: one swtpm per state folder, shared by every process that uses the
// folder. The first user starts it, the state outlives it, and it ends when nobody has used it for a while.
// It protects nothing.

#include "base/unique_fd.hpp"

#include <filesystem>
#include <string>

namespace sshtpm::tpm {

class Context;

/// A user of the emulator of a state folder, for as long as this, or the process, lives.
///
/// There are two locks in the folder. Each user holds "users.lock" shared; when the emulator's supervisor
/// gets it exclusively, nobody is left. The user that has a job under way holds "turn.lock": two programs at
/// once would take the TPM's three slots for objects from each other.
class Emulator {
  public:
    /// @param state_folder made (0700) when it is not there.
    /// @throws Error(permission | io)
    explicit Emulator(const std::filesystem::path& state_folder);

    /// For the TCTI loader, in this process only: the path leads through a descriptor of this object, because
    /// a socket address has room for 107 bytes.
    std::string tcti() const;

    /// Waits for the turn, and starts the emulator when it does not run. Until the end of the turn the TPM is
    /// this process's alone.
    /// @returns true when the TPM needs prepare_emulator: it has just been started, or the last user was
    ///     killed in its turn, or lost the connection, and may have left something loaded.
    /// @throws Error: tpm for a user that keeps its turn for longer than TimeLimits::emulator_turn, such as a
    ///     stopped one, and names it; not_found with a hint when swtpm is not installed; io.
    bool begin_turn();
    /// @param clean nothing is left loaded
    void end_turn(bool clean) noexcept;

  private:
    UniqueFd folder_, users_;
    UniqueFd turn_; ///< while it is ours
};

/// Starts the TPM (TPM2_Startup), flushes every object and session, and makes the standard ECC storage key
/// persistent at 0x81000001, as operating systems do in a real TPM, unless something is there already.
void prepare_emulator(const Context& context);

} // namespace sshtpm::tpm
