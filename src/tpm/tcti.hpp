// SPDX-License-Identifier: MIT
#pragma once
// The TCTI for ESYS: it gives every command a deadline, sends it again while the TPM is busy, refuses
// malformed replies, and remembers when the connection is lost.

#include "base/error.hpp"
#include "base/time_limits.hpp"
#include "tpm/transport.hpp"

#include <array>
#include <cstdint>
#include <optional>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// TimeLimits::tpm_key_command for commands that make or import a key, else TimeLimits::tpm_command.
/// TPM2_CreatePrimary of an ECC key has the shorter limit too: it takes no longer than a signature, and a
/// signature may wait for it.
/// @param command at least `header_size` bytes
std::chrono::milliseconds command_deadline(ByteView command) noexcept;

/// "TPM2_Sign" (TPM 2.0 Part 2, 6.5.2) for the commands of this program, "TPM2 command 0x…" for others.
std::string command_name(TPM2_CC command);

/// How a connection to a TPM was lost, and in which command.
struct Loss {
    enum class Kind {
        deadline, ///< no reply in time
        broken,   ///< end of file, or another failure of the transport
        rubbish,  ///< a malformed reply
    };
    Kind kind = Kind::broken;
    TPM2_CC command = 0;
    std::chrono::milliseconds limit{0}; ///< the command's time
    Deadline noticed = {};

    /// "the TPM did not answer within 10 s (TPM2_Sign)", with a hint.
    Error error() const;
};

class Tcti {
  public:
    explicit Tcti(std::unique_ptr<Transport> transport);
    Tcti(const Tcti&) = delete;
    Tcti& operator=(const Tcti&) = delete;

    TSS2_TCTI_CONTEXT* tcti() noexcept;

    /// Set by the first failure. From then on every command fails at once and is not sent: a late reply would
    /// be taken for that of another command, and each flush would wait for a whole deadline.
    const std::optional<Loss>& loss() const noexcept { return loss_; }

    /// Gives a busy TPM TimeLimits::tpm_busy again, for all commands together.
    void renew_patience() noexcept { patience_ = time_limits().tpm_busy; }

  private:
    /// Begins with tpm2-tss's table of functions, as every TCTI must.
    struct Face {
        TSS2_TCTI_CONTEXT_COMMON_V1 common{};
        Tcti* self = nullptr;
    };
    static Tcti& behind(TSS2_TCTI_CONTEXT* face) noexcept;
    static TSS2_RC transmit(TSS2_TCTI_CONTEXT* face, size_t size, const std::uint8_t* command) noexcept;
    static TSS2_RC receive(TSS2_TCTI_CONTEXT* face, size_t* size, std::uint8_t* reply,
                           std::int32_t timeout) noexcept;

    TSS2_RC send() noexcept;
    TSS2_RC fetch() noexcept;
    TSS2_RC lose(Loss::Kind kind) noexcept;

    Face face_;
    std::unique_ptr<Transport> transport_;
    std::optional<Loss> loss_;
    std::chrono::milliseconds patience_ = time_limits().tpm_busy;

    std::array<std::uint8_t, largest_message> command_{}; ///< the running or the last command
    std::size_t command_size_ = 0;
    std::chrono::milliseconds limit_{0};
    Deadline deadline_;
    std::array<std::uint8_t, largest_message> reply_{};
    std::size_t reply_size_ = 0; ///< 0: not received yet
};

} // namespace sshtpm::tpm
