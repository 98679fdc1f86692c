// SPDX-License-Identifier: MIT
#pragma once
// The emulator for trying things out: one swtpm per state folder, shared by all processes that use the
// folder. The first user starts swtpm, and it ends after nobody has used it for a while; the state stays. It
// protects nothing.

#include "base/unique_fd.hpp"
#include "os/forked.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace sshtpm::tpm {

class Context;

/// A companion that starts the emulator, for a process that may not start programs. Makes the state folder if
/// it is missing. @throws Error(permission | io)
std::shared_ptr<os::Companion> make_emulator_starter(const std::filesystem::path& state_folder);

/// A user of a state folder's emulator, for the lifetime of this object or of the process.
///
/// There are two locks in the folder. Each user holds "users.lock" shared; if the emulator's supervisor gets
/// it exclusively, there are no more users. The user with a running job holds "turn.lock", because two
/// programs at once would take the TPM's three slots for objects from each other.
class Emulator {
  public:
    /// @param state_folder made (0700) if it is missing
    /// @param starter of the same folder; null if this process may start programs
    /// @throws Error(permission | io)
    explicit Emulator(const std::filesystem::path& state_folder,
                      std::shared_ptr<os::Companion> starter = nullptr);

    /// The string for the TCTI loader, for this process only: the path leads through a descriptor of this
    /// object, because a socket address is limited to 107 bytes.
    std::string tcti() const;

    /// Waits for the turn, and starts the emulator if it does not run. Until the turn ends, only this process
    /// uses the TPM.
    /// @returns true if the TPM needs prepare_emulator: it has just been started, or the last user was killed
    ///     in its turn, or lost the connection, and may have left something loaded
    /// @throws Error: tpm for a user that keeps its turn for longer than TimeLimits::emulator_turn, such as a
    ///     stopped one, and names it; not_found with a hint if swtpm is not installed; io
    bool begin_turn();
    /// @param clean nothing is left loaded
    void end_turn(bool clean) noexcept;

  private:
    std::shared_ptr<os::Companion> starter_;
    UniqueFd folder_, users_;
    UniqueFd turn_; ///< during our turn
};

/// Starts the TPM (TPM2_Startup), flushes every object and session, and makes the standard ECC storage key
/// persistent at 0x81000001 unless that is in use, as operating systems do in a real TPM.
void prepare_emulator(const Context& context);

} // namespace sshtpm::tpm
