// SPDX-License-Identifier: MIT
// A reply of a TPM as ESYS gets to see it: whole and of the size it says, or none at all.

#include "fuzz/target.hpp"
#include "tpm/tcti.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <tss2/tss2_tpm2_types.h>

namespace {

using namespace sshtpm;

/// Answers with the input, once: a command that the TPM was too busy for is sent again.
class Saying final : public tpm::Transport {
  public:
    explicit Saying(ByteView message) : message_(message) {}

    TSS2_RC send(ByteView, Deadline) noexcept override { return TSS2_RC_SUCCESS; }
    tpm::Received receive(std::span<std::uint8_t> room, Deadline) noexcept override {
        if (std::exchange(answered_, true))
            return {TSS2_TCTI_RC_IO_ERROR, 0};
        std::copy_n(message_.begin(), std::min(room.size(), message_.size()), room.begin());
        return {TSS2_RC_SUCCESS, message_.size()};
    }

  private:
    ByteView message_;
    bool answered_ = false;
};

} // namespace

FUZZ_TARGET(tpm_reply) {
    const ByteView message(data, size);
    tpm::Tcti watched(std::make_unique<Saying>(message));
    const Bytes command{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x7A};
    require(Tss2_Tcti_Transmit(watched.tcti(), command.size(), command.data()) == TSS2_RC_SUCCESS);
    std::size_t told = 0;
    const auto rc = Tss2_Tcti_Receive(watched.tcti(), &told, nullptr, TSS2_TCTI_TIMEOUT_BLOCK);
    require((rc == TSS2_RC_SUCCESS) != watched.loss().has_value());
    if (rc != TSS2_RC_SUCCESS)
        return;
    require(told == size && size >= tpm::header_size && tpm::header_of(message).size == size);
    Bytes out(told);
    require(Tss2_Tcti_Receive(watched.tcti(), &told, out.data(), 0) == TSS2_RC_SUCCESS);
    require(equal(out, message));
}
