#pragma once
// The tree that stands for the root of the file system: $DESTDIR, as for an image or a package.

#include <filesystem>
#include <string>

namespace sshtpm::applets {

/// $DESTDIR as an absolute path without symbolic links, or nothing: the paths of programs are compared with
/// it.
std::string destdir();

/// Symbolic links are followed as this system has them, so that an absolute one in a tree leads out of it.
/// @throws Error(refused) for a folder that is not below `root` then.
void require_inside(const std::filesystem::path& root, const std::filesystem::path& folder);

} // namespace sshtpm::applets
