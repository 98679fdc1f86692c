#pragma once
// Being told when key files come, go or change in a folder: inotify(7).

#include "base/unique_fd.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::os {

/// True for the names that matter: "….tpm" and "…-cert.pub".
bool is_watched_name(std::string_view name);

/// Watches one folder, and each folder above it for the way there: the folder may be missing at first, be
/// deleted and made anew, be moved, or be reached by links that change. The caller reads the folder after
/// making this and after each drain() that says so; no change between goes unseen. Not seen are changes on
/// the far side of a network file system, and under a folder on the way that this user may not list.
class FolderWatch {
  public:
    /// @throws Error(io) when inotify, or a watch, cannot be had (limits of the user: fs.inotify in sysctl).
    explicit FolderWatch(const std::filesystem::path& folder);

    /// Non-blocking; readable when drain() has something to read.
    int fd() const noexcept { return inotify_.value(); }

    /// Reads all that has been told so far. @returns whether a key file, the folder itself or the way to it
    /// may have changed. @throws Error(io)
    bool drain();

  private:
    /// A folder that is watched; `next` is the name below it that leads on, empty for the goal itself.
    struct Watch {
        int descriptor = -1;
        std::string next;
    };

    void watch_the_way();
    void watch(const std::filesystem::path& folder, const std::string& next);
    bool take(int descriptor, std::uint32_t mask, std::string_view name);

    std::filesystem::path folder_;
    UniqueFd inotify_;
    std::vector<Watch> watches_;
    bool way_changed_ = false;
};

} // namespace sshtpm::os
