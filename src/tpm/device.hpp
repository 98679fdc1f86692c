#pragma once
// An open TPM with all that is kept about it: what keygen and the agent's TPM lane work with.

#include "base/error.hpp"
#include "tpm/context.hpp"
#include "tpm/emulator.hpp"
#include "tpm/target.hpp"
#include "tpm/warm_keys.hpp"

#include <chrono>
#include <optional>

namespace sshtpm::tpm {

/// Blocking, and for one thread at a time.
class Device {
  public:
    /// Opens the TPM, starting its emulator when the target is one that does not run.
    /// @throws Error
    explicit Device(const Target& target);

    /// The time in which a thread uses the TPM for one job. A TPM that other programs share through a
    /// resource manager keeps its warm keys between jobs; the emulator gives them back at the end of each.
    class Turn {
      public:
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn();

      private:
        friend class Device;
        explicit Turn(Device& device);
        Device& device_;
        std::optional<Emulator::Turn> emulator_turn_;
    };
    Turn take_turn() { return Turn(*this); }

    using Clock = std::chrono::steady_clock;

    /// Runs `job(*this)` within a turn. When the connection is lost in it, or the TPM answers what it should
    /// not, that job fails; the next one finds everything opened anew, because ESYS answers every call after
    /// a lost reply with an error.
    /// @param waiting_since when the job was ready to begin. If the TPM has missed a deadline since, or the
    ///     emulator was not to be had, the job fails with that: those that queue behind a TPM that hangs must
    ///     not wait for a deadline each.
    template <class Job>
    auto run(Job& job, Clock::time_point waiting_since = Clock::now()) {
        fail_if_hung_since(waiting_since);
        const auto turn = take_turn();
        try { // caught to remember it, and to say what ESYS does not know
            return job(*this);
        } catch (const Error& error) {
            throw judged(error);
        } catch (...) {
            broken_ = true;
            throw;
        }
    }

    /// Gives back what has not been used for so long. @returns when the next of it will be that old; nothing
    /// when nothing stays.
    std::optional<Clock::time_point> rest(Clock::duration limit) noexcept;

    /// For CreatePrimary in the owner hierarchy; null for none.
    void use_owner_password(Auth password);

    const Context& context() const noexcept { return *context_; }
    WarmKeys& keys() noexcept { return *keys_; }

  private:
    void open();
    void open_keys();
    Emulator::Turn take_emulators_turn();
    void fail_if_hung_since(Clock::time_point waiting_since) const;
    /// Remembers what an error says about the connection. @returns the error to report: the loss, if there
    /// was one, in whatever call of ESYS it showed.
    Error judged(const Error& error);
    void note_loss();

    std::string tcti_;
    KnownTpms known_tpms_;
    std::optional<Emulator> emulator_;
    Auth owner_password_;
    bool broken_ = true;       ///< to be opened by the next turn
    std::optional<Loss> hang_; ///< the last missed deadline
    struct MissedTurn {
        Error error;
        Clock::time_point noticed;
    };
    std::optional<MissedTurn> missed_turn_; ///< the last one at the emulator
    SavedPrimaries primaries_;              ///< not the connection's: they outlive it
    std::optional<Context> context_;
    std::optional<WarmKeys> keys_;
};

} // namespace sshtpm::tpm
