// SPDX-License-Identifier: MIT
#pragma once
// The file in sshd_config.d that gives sshd the host keys of an agent. Its lines depend on the agent, and on
// the keys and certificates that are there.

#include "ssh/sshd_settings.hpp"
#include "tpm/storage_keys.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

struct SshdDropIn {
    std::filesystem::path socket; ///< in its HostKeyAgent line
    std::vector<std::string> host_keys;
    std::string text;
};

/// Without key files, as in the tree of an image, it has the HostKey lines of all keys. Warns of certificates
/// that clients would refuse, and leaves them out.
/// @param hierarchy nothing: the keys in files, or if there are none, those of the installed file's agent
SshdDropIn make_sshd_drop_in(std::optional<tpm::Hierarchy> hierarchy);

/// True for all texts that make_sshd_drop_in can make, for all keys and agents.
bool is_sshd_drop_in(std::string_view text);

/// True if the file is there as --install-sshd-config wrote it.
bool has_sshd_drop_in();

/// The hierarchy whose agent the installed file names. Nothing if that agent serves keys in files, and if
/// has_sshd_drop_in() is false.
std::optional<tpm::Hierarchy> hierarchy_of_sshd_drop_in();

/// Whether the first of the lines with this value is in the installed file, and nobody has changed that: then
/// --install-sshd-config mends it, and refuses to after an edit.
bool is_in_sshd_drop_in(const std::string& value, const std::vector<ssh::SshdLine>& lines);

/// Removes the HostCertificate lines whose certificates are missing, unless somebody has changed the file.
/// @returns whether it was written @throws Error(io | permission)
bool remove_lost_certificates();

} // namespace sshtpm::applets
