#pragma once
// The folder of keys that the agent serves.

#include <filesystem>
#include <vector>

namespace sshtpm::identity {

/// The *.tpm files in a folder, in the order of their names; none for a missing folder, nor for one that
/// cannot be read, which is logged.
std::vector<std::filesystem::path> key_files(const std::filesystem::path& folder);

} // namespace sshtpm::identity
