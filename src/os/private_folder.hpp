// SPDX-License-Identifier: MIT
#pragma once
// Folders for files that no other user may see, and that nobody needs later.

#include <filesystem>

namespace sshtpm::os {

/// A folder of this user with a random name; the destructor removes it with all that is in it. Its path is
/// short enough for sockets.
class PrivateFolder {
  public:
    enum class Place {
        anywhere,
        in_memory, ///< a file on a disk could be found there later
    };

    /// In $XDG_RUNTIME_DIR, /dev/shm, /run or /tmp. @throws Error(io) if none of them will do
    explicit PrivateFolder(Place place);
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;
    ~PrivateFolder();

    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace sshtpm::os
