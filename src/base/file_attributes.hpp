#pragma once
// The attributes of a file: owner, mode, access list.

#include <filesystem>

namespace sshtpm {

/// Gives the file of one descriptor the owner, group, mode, access list and extended attributes of another's.
/// @param path for the error
/// @throws Error(permission) when the system does not permit that
void copy_attributes(int from, int to, const std::filesystem::path& path);

} // namespace sshtpm
