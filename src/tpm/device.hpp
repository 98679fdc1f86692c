#pragma once
// An open TPM with all that is kept about it: what keygen and the agent's TPM lane work with.

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

    const Context& context() const noexcept { return *context_; }
    WarmKeys& keys() noexcept { return *keys_; }

  private:
    std::optional<Emulator> emulator_;
    // Optional only because they are made within a turn; there from the end of the constructor on.
    std::optional<Context> context_;
    std::optional<WarmKeys> keys_;
};

} // namespace sshtpm::tpm
