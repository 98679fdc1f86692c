// SPDX-License-Identifier: MIT
#pragma once
// Tells when key files come, go or change in a folder: inotify(7).

#include "base/unique_fd.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// True for "….tpm" and "…-cert.pub".
bool is_watched_name(std::string_view name);

/// Watches a folder with the subfolders that read_key_tree reads, and each folder of its path. The folder may
/// be missing at first, be deleted and made again, be moved, or be reached through links that change. The
/// caller reads the tree after construction and after each drain() that returns true, and so misses no
/// change, except for three kinds: changes by other hosts in a network file system, changes inside a folder
/// that this user may not list, and changes in subfolders for which the system has no more watches; these
/// subfolders are logged.
class FolderWatch {
  public:
    /// @throws Error(io) if the user's limits on inotify (sysctl fs.inotify) leave no watch for the folder
    explicit FolderWatch(const std::filesystem::path& folder);

    /// Readable when there are events for drain().
    int fd() const noexcept { return inotify_.value(); }

    /// Reads the waiting events. @returns true if a key file, the folder or its path may have changed
    /// @throws Error(io)
    bool drain();

  private:
    /// A folder of the path, or one of the tree at its end.
    struct Watch {
        int descriptor = -1;
        std::string next = {};        ///< the next name of the path; empty in the tree
        bool with_subfolders = false; ///< its subfolders are watched too
    };

    void watch_all();
    void watch_tree();
    void watch(const std::filesystem::path& folder, std::uint32_t events, Watch watch);
    bool take(int descriptor, std::uint32_t mask, std::string_view name);

    std::filesystem::path folder_;
    UniqueFd inotify_;
    std::vector<Watch> watches_;
    bool folders_changed_ = false;
    bool full_ = false; ///< the system had no watch for a subfolder; this has been logged
};

} // namespace sshtpm::os
