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

/// Watches one folder and each folder of its path. The folder may be missing at first, be deleted and made
/// again, be moved, or be reached through links that change. The caller reads the folder after construction
/// and after each drain() that returns true, and so misses no change, except for two kinds: changes by other
/// hosts in a network file system, and changes inside a folder that this user may not list.
class FolderWatch {
  public:
    /// @throws Error(io) if the user's limits on inotify are reached (sysctl fs.inotify)
    explicit FolderWatch(const std::filesystem::path& folder);

    /// Readable when there are events for drain().
    int fd() const noexcept { return inotify_.value(); }

    /// Reads the waiting events. @returns true if a key file, the folder or its path may have changed
    /// @throws Error(io)
    bool drain();

  private:
    /// A watched folder of the path.
    struct Watch {
        int descriptor = -1;
        std::string next; ///< the next name of the path; empty for the last folder
    };

    void watch_path();
    void watch(const std::filesystem::path& folder, const std::string& next);
    bool take(int descriptor, std::uint32_t mask, std::string_view name);

    std::filesystem::path folder_;
    UniqueFd inotify_;
    std::vector<Watch> watches_;
    bool path_changed_ = false;
};

} // namespace sshtpm::os
