// SPDX-License-Identifier: MIT
#pragma once
// The texts of ssh-tpm-hostkeys --renew.

#include "applets/stored_host_keys.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::applets {

/// Prints the Names, their meaning, the keys, and the consequences of going on.
/// @param suffix of the old files @param asks false: the meaning is logged as warnings
void explain_renewal(const HostKeyTrial& found, const std::optional<tpm::Hierarchy>& hierarchy,
                     const std::string& suffix, bool asks);

/// Prints the lines of those keys that are new. @param socket of the agent that serves the keys
void print_new_keys(std::vector<StoredHostKey> keys, const std::filesystem::path& socket);

} // namespace sshtpm::applets
