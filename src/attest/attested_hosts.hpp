// SPDX-License-Identifier: MIT
#pragma once
// The hosts that this user has checked, and the boots that the user has accepted.

#include "attest/answer.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sshtpm::attest {

/// A boot of a host that was accepted. A host has one for each selection of PCRs and each of its keys: the
/// initrd has another host key than the running system, and other values.
struct AttestedHost {
    std::string host; ///< as in known_hosts: a name, or "[name]:port"
    Bytes ak_name;
    Bytes host_key; ///< its blob
    PcrSelection selection;
    PcrValues pcrs;
    std::uint32_t reset_count = 0; ///< of the TPM: it grows with each boot, and TPM2_Clear sets it to 0
    Bytes event_log;               ///< may be empty

    friend bool operator==(const AttestedHost&, const AttestedHost&) = default;
};

/// Parses a file with a JSON object on each line. @throws Error(malformed) that tells the line
std::vector<AttestedHost> parse_attested_hosts(std::string_view text);
std::string attested_hosts_text(const std::vector<AttestedHost>& hosts);

/// Reads the file; none if it is missing. @throws Error that names the file
std::vector<AttestedHost> read_attested_hosts(const std::filesystem::path& file);

/// Puts a boot into the file, in the place of those of the host that it contradicts: of another TPM, or, of
/// the same host key, with another value of a PCR.
/// @throws Error that names the file
void record_host(const std::filesystem::path& file, const AttestedHost& boot);

} // namespace sshtpm::attest
