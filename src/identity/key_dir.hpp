#pragma once
// The folder of keys that the agent serves.

#include <filesystem>
#include <vector>

namespace sshtpm::identity {

/// The *.tpm files in a folder, in the order of their names. A folder that is not there has none; one that
/// cannot be read is reported in the log.
std::vector<std::filesystem::path> key_files(const std::filesystem::path& folder);

} // namespace sshtpm::identity
