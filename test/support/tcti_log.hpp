// SPDX-License-Identifier: MIT
#pragma once
// The probe of tcti_probe.cpp in front of a TPM, and what it wrote down: how tests count TPM commands.

#include "base/bytes.hpp"
#include "support/temp_folder.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace support {

class TctiLog {
  public:
    /// Of all that is sent to this TPM (a TCTI conf string) by way of `tcti()`, from any process.
    /// @param missing_hashes TPM2_ALG_SHA512 and so on: the TPM is one without them
    explicit TctiLog(std::string next, std::vector<int> missing_hashes = {})
        : next_(std::move(next)), missing_hashes_(std::move(missing_hashes)) {}

    /// @throws std::runtime_error when SSH_TPM_TCTI_PROBE, the module's path, is not set.
    std::string tcti() const;

    /// One entry for each command since the start or the last `clear`: "TPM2_Sign 0x00000000".
    std::vector<std::string> lines() const;
    /// Their names alone: "TPM2_Sign".
    std::vector<std::string> commands() const;
    std::size_t count(std::string_view command) const;
    /// Every byte of commands and responses, in order: to look for what must not be on the bus.
    sshtpm::Bytes bus() const;

    void clear();

    /// What goes wrong from the next command on: rules of tcti_probe_faults.hpp in place of those before,
    /// none to heal.
    void fail(std::initializer_list<std::string> rules) const;

  private:
    std::string next_;
    std::vector<int> missing_hashes_;
    TempFolder folder_;
};

} // namespace support
