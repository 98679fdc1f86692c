// SPDX-License-Identifier: MIT
#pragma once
// The event log of a boot ("TCG PC Client Platform Firmware Profile", chapter 10): why a PCR has its value.

#include "attest/pcrs.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sshtpm::attest {

/// An extension of a PCR.
struct BootEvent {
    unsigned pcr = 0;
    std::uint32_t type = 0;
    Bytes digest; ///< in the bank that was asked for
    Bytes data;

    friend bool operator==(const BootEvent&, const BootEvent&) = default;
};

struct EventLog {
    std::vector<BootEvent> events;
    std::uint8_t locality = 0; ///< of TPM2_Startup: the value with which PCR 0 begins
};

/// Parses a log in the crypto agile format. @throws Error(malformed | unsupported)
EventLog parse_event_log(ByteView log, TPMI_ALG_HASH bank);

/// The values that the PCRs have after these events.
PcrValues replayed(const EventLog& log, const PcrSelection& selection);

/// "boot services application DIGEST: TEXT", with the beginning of the digest; a text that is not what was
/// measured is the host's word, and is shown as such. Printable.
std::string describe(const BootEvent& event);

} // namespace sshtpm::attest
