#pragma once
// The folder of keys that the agent serves.

#include <filesystem>
#include <vector>

namespace sshtpm::identity {

/// The *.tpm files in a folder, sorted by name; none for a missing folder. Logs a folder that cannot be read,
/// and returns none.
std::vector<std::filesystem::path> key_files(const std::filesystem::path& folder);

} // namespace sshtpm::identity
