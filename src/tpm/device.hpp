#pragma once
// An open TPM with all that is kept about it: what keygen and the agent's TPM lane work with.

#include "base/error.hpp"
#include "tpm/context.hpp"
#include "tpm/emulator.hpp"
#include "tpm/target.hpp"
#include "tpm/warm_keys.hpp"

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

    /// Runs `job(*this)` within a turn. When the connection fails in it, that job fails; the next one finds
    /// the TPM opened anew, because ESYS answers every call after a lost reply with an error.
    template <class Job>
    auto run(Job& job) {
        const auto turn = take_turn();
        try { // caught to remember, not to report
            return job(*this);
        } catch (const Error& error) {
            broken_ = connection_failed(error);
            throw;
        }
    }

    /// For CreatePrimary in the owner hierarchy; null for none.
    void use_owner_password(Auth password);

    const Context& context() const noexcept { return *context_; }
    WarmKeys& keys() noexcept { return *keys_; }

  private:
    void open();
    /// True when the error is not the TPM's answer but the lack of one, or the TPM does not know what it
    /// should.
    static bool connection_failed(const Error& error);

    std::string tcti_;
    std::optional<Emulator> emulator_;
    Auth owner_password_;
    bool broken_ = true;       ///< to be opened by the next turn
    SavedPrimaries primaries_; ///< not the connection's: they outlive it
    std::optional<Context> context_;
    std::optional<WarmKeys> keys_;
};

} // namespace sshtpm::tpm
