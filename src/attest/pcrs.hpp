// SPDX-License-Identifier: MIT
#pragma once
// Platform Configuration Registers: a selection of one bank, its values, and what they measure.

#include "base/bytes.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::attest {

using PcrValues = std::map<unsigned, Bytes>;

/// PCRs of one bank; of a PC, 0 to 23.
struct PcrSelection {
    TPMI_ALG_HASH bank = TPM2_ALG_SHA256; ///< SHA-256 or SHA-384
    std::set<unsigned> numbers;           ///< not empty

    /// Parses "sha256:0-9,11,12", or the numbers alone, of SHA-256. @throws Error(malformed)
    static PcrSelection parse(std::string_view text);
    std::string text() const; ///< "sha256:0,1,2"

    /// With a bitmap of three bytes, as TPMs of PCs have it.
    TPML_PCR_SELECTION to_tpm() const;

    /// The values by the numbers of their PCRs.
    /// @throws Error(malformed) for another number of values, and for one of another bank's size
    PcrValues numbered(const std::vector<Bytes>& values) const;

    friend bool operator==(const PcrSelection&, const PcrSelection&) = default;
};

/// Those that a boot changes: firmware, its settings, option ROMs, boot loader, Secure Boot, kernel, initrd
/// and command line ("TCG PC Client Platform Firmware Profile", 3.3.4; the UAPI group's Linux TPM PCR
/// Registry).
PcrSelection usual_pcrs();

/// In bytes, of a bank's values; 0 for a bank of an unknown hash.
std::size_t digest_size(TPMI_ALG_HASH bank);

/// "kernel command line", of PCR 12; empty for a PCR without a fixed use.
std::string_view pcr_meaning(unsigned number);

/// True if the TPM's statement is about this selection, bank and bitmap, and no other.
bool is_selection(const TPML_PCR_SELECTION& stated, const PcrSelection& selection);

/// The digest that a quote has of the values, in ascending order of their numbers.
Bytes quoted_digest(const PcrValues& values);

} // namespace sshtpm::attest
