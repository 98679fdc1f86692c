#pragma once
// The folder of keys that the agent serves.

#include "identity/identity.hpp"

#include <vector>

namespace sshtpm::identity {

/// The identities of every *.tpm file in a folder, in the order of their names. A file that is broken,
/// hostile, unreadable or of a kind that cannot sign is reported in the log and skipped; so is a second file
/// of the same key. A folder that is not there has none.
std::vector<std::shared_ptr<const Identity>> load_key_dir(const std::filesystem::path& folder);

} // namespace sshtpm::identity
