// SPDX-License-Identifier: MIT
#pragma once
// The file in sshd_config.d that gives sshd the host keys of an agent, and the subsystem that answers
// `ssh-tpm attest check`. Its lines depend on the agent, and on the keys and certificates that are there.

#include "ssh/sshd_settings.hpp"
#include "tpm/storage_keys.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::applets {

/// The name by which clients ask for it.
inline constexpr std::string_view subsystem_of_attest = "ssh-tpm-attest";

struct SshdDropIn {
    std::filesystem::path socket; ///< in its HostKeyAgent line
    std::vector<std::string> host_keys;
    std::string text;
};

/// Without key files, as in the tree of an image, it has the HostKey lines of all keys. Warns of certificates
/// that clients would refuse, and leaves them out.
/// @param hierarchy nothing: the keys in files, or if there are none, those of the installed file's agent
/// @param program of the subsystem, a path that is_path_for_sshd; empty: without the subsystem
SshdDropIn make_sshd_drop_in(std::optional<tpm::Hierarchy> hierarchy, const std::string& program);

/// Whether every sshd starts the program of this path for a subsystem. sshd gives the words of the line to
/// the user's shell: before 9.5 without the quotation marks around them, from then on with them. So a path
/// that the shell would not take without them fits none of the two.
bool is_path_for_sshd(std::string_view path);

/// True for all texts that make_sshd_drop_in can make, for all keys, agents and programs.
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
