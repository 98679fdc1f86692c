// SPDX-License-Identifier: MIT
#pragma once
// One connection through the probe: a command goes in, a response comes out, or what its faults make of them.

#include "tcti_probe_faults.hpp"
#include "tcti_probe_log.hpp"
#include "tcti_probe_message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <tss2/tss2_tcti.h>

namespace probe {

class Probe {
  public:
    Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe();

    // As a TCTI has them (TCTI specification 3.2).
    TSS2_RC transmit(Buffer command);
    TSS2_RC receive(size_t* size, std::uint8_t* response, std::int32_t timeout);
    TSS2_RC poll_handles(TSS2_TCTI_POLL_HANDLE* handles, size_t* count);

    TSS2_TCTI_CONTEXT* next = nullptr;
    std::optional<AppendedFile> log, record;
    std::optional<FaultFile> faults;
    std::vector<std::uint16_t> missing_hashes; ///< TPM2_ALG_SHA512 and so on

  private:
    enum class State {
        idle,    ///< no command is under way
        passed,  ///< the TPM has it
        hung,    ///< nothing will come
        failing, ///< an I/O error will come
        answered ///< the response is there
    };

    TSS2_RC begin_fault();
    TSS2_RC answer(Buffer response);
    TSS2_RC pass_on();
    TSS2_RC fetch(std::int32_t timeout);
    TSS2_RC spoil(Buffer response);
    TSS2_RC finish(TSS2_RC rc);
    bool wait_until_ready(std::int32_t timeout) const;

    State state_ = State::idle;
    Buffer command_, response_;
    std::optional<Fault> fault_;
    bool no_ecc_ = false;
    std::chrono::steady_clock::time_point ready_at_;
    int timer_ = -1; ///< readable when a response may be fetched that does not come from `next`
};

} // namespace probe
