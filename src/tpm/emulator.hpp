#pragma once
// The emulator for trying things out: one swtpm per state folder, shared by every process that uses the
// folder. The first user starts it, the state outlives it, and it ends when nobody has used it for a while.
// It protects nothing.

#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace sshtpm::tpm {

/// Membership in the users of a running emulator; leaving is destruction, a killed process leaves too.
///
/// Three locks in the state folder order the processes. Users hold "users" shared; the emulator's supervisor
/// takes it exclusively to find that nobody is left. "start" is held for the moment of looking whether the
/// emulator answers and starting it. "turn" belongs to the one user whose commands the TPM is serving: a TPM
/// has three slots for objects, and without turns two programs would take them from each other.
class Emulator {
  public:
    /// Joins the emulator of a state folder, which is made (0700) when it is not there.
    /// @throws Error(not_found) with a hint when swtpm is not installed; Error(io)
    static Emulator join(const std::filesystem::path& state_folder);

    /// For the TCTI loader, in this process only: the path leads through a descriptor of this object, so
    /// that a long folder name does not meet the 108-byte limit of socket addresses.
    std::string tcti() const;

    /// While it lives, the TPM is this process's alone. Whoever has a turn leaves nothing loaded at its end.
    class Turn {
      public:
        Turn(Turn&&) = default;
        Turn& operator=(Turn&&) = delete;
        ~Turn();

        /// To be said when it may leave something loaded: the next user, whoever that is, flushes it.
        void leave_uncleared() noexcept { emptied_ = false; }

      private:
        friend class Emulator;
        explicit Turn(UniqueFd lock) noexcept : lock_(std::move(lock)) {}
        UniqueFd lock_;
        bool emptied_ = true;
    };

    /// Waits for the turn, for as long as another user may take for one, starts the emulator again if it has
    /// died, and flushes what a user that was killed in its turn has left in it.
    /// @throws Error(tpm), which names the program that has it, when the wait is too long: it was stopped.
    Turn take_turn(std::chrono::milliseconds patience = time_limits().emulator_turn) const;

  private:
    Emulator(UniqueFd folder, UniqueFd users) noexcept
        : folder_(std::move(folder)), users_(std::move(users)) {}

    UniqueFd folder_;
    UniqueFd users_;
};

} // namespace sshtpm::tpm
