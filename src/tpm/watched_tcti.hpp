#pragma once
// The TCTI that ESYS is given: it gives every command a deadline, lets through what has the shape of a reply
// only, and remembers when a connection is lost.

#include "base/error.hpp"
#include "tpm/command_deadline.hpp"
#include "tpm/tpm_message.hpp"
#include "tpm/transport.hpp"

#include <array>
#include <optional>

namespace sshtpm::tpm {

/// How a connection to a TPM was lost, and in which command.
struct Loss {
    enum class Kind {
        deadline, ///< no reply in time
        broken,   ///< end of file, or another failure of the transport
        rubbish,  ///< a reply that is short, longer than it says, or none at all
    };
    Kind kind = Kind::broken;
    TPM2_CC command = 0;
    std::chrono::milliseconds limit{0}; ///< the command's time
    Deadline noticed = {};              ///< when

    /// "the TPM did not answer within 10 s (TPM2_Sign)", with a hint.
    Error error() const;
};

class WatchedTcti {
  public:
    using DeadlineOf = std::chrono::milliseconds (*)(ByteView command) noexcept;

    explicit WatchedTcti(std::unique_ptr<Transport> transport, DeadlineOf deadline_of = command_deadline);
    WatchedTcti(const WatchedTcti&) = delete;
    WatchedTcti& operator=(const WatchedTcti&) = delete;

    TSS2_TCTI_CONTEXT* tcti() noexcept;

    /// Set for good by the first failure. Every later command fails at once and nothing is sent: what a lost
    /// TPM would answer belongs to nobody, and flushing its handles must not cost a deadline each.
    const std::optional<Loss>& loss() const noexcept { return loss_; }

  private:
    /// What C sees: it must begin with tpm2-tss's table of functions.
    struct Face {
        TSS2_TCTI_CONTEXT_COMMON_V1 common{};
        WatchedTcti* self = nullptr;
    };
    static WatchedTcti& behind(TSS2_TCTI_CONTEXT* face) noexcept;

    static TSS2_RC transmit(TSS2_TCTI_CONTEXT* face, size_t size, const std::uint8_t* command) noexcept;
    static TSS2_RC receive(TSS2_TCTI_CONTEXT* face, size_t* size, std::uint8_t* reply,
                           std::int32_t timeout) noexcept;

    TSS2_RC send(ByteView command) noexcept;
    TSS2_RC fetch() noexcept;
    TSS2_RC lose(Loss::Kind kind) noexcept;

    Face face_;
    std::unique_ptr<Transport> transport_;
    DeadlineOf deadline_of_;
    std::optional<Loss> loss_;

    TPM2_CC command_ = 0; ///< under way, or the last one
    std::chrono::milliseconds limit_{0};
    Deadline deadline_;
    std::array<std::uint8_t, largest_message> reply_{};
    std::size_t reply_size_ = 0; ///< 0: not here yet
};

} // namespace sshtpm::tpm
