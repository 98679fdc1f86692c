// SPDX-License-Identifier: MIT
#pragma once
// Folders for files that no other user may see, and that nobody needs later.

#include "os/forked.hpp"

#include <filesystem>
#include <functional>

namespace sshtpm::os {

/// A folder of this user with a random name. A companion removes it with all that is in it, when this object
/// ends, or this process, also if it is killed. Its path is short enough for sockets.
class PrivateFolder {
  public:
    enum class Place {
        anywhere,
        in_memory, ///< a file on a disk could be found there later
    };

    /// In $XDG_RUNTIME_DIR, /dev/shm, /run or /tmp. Forks this process, which must have one thread.
    /// @param before_removal is called by the companion, and what it throws is lost
    /// @throws Error(io) if none of them will do
    explicit PrivateFolder(
        Place place, const std::function<void()>& before_removal = [] {});
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;
    /// Waits until the folder is removed.
    ~PrivateFolder();

    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
    Companion remover_;
};

} // namespace sshtpm::os
