// SPDX-License-Identifier: MIT
#include "os/folder_watch.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/key_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <sys/inotify.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t folder_itself_gone = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;
/// Events after which a name may lead to another folder, or this user may list a folder.
constexpr std::uint32_t path_events =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t tree_events = path_events | IN_CLOSE_WRITE;

/// True for the errors of a folder that is missing, is a file or a link, or is closed to this user. Other
/// errors are reported, such as ENOSPC, the user's limit on watches.
bool may_stay_unwatched(int error_number) {
    return error_number == ENOENT || error_number == ENOTDIR || error_number == EACCES ||
           error_number == ELOOP || error_number == EPERM;
}

} // namespace

bool is_watched_name(std::string_view name) {
    return name.ends_with(".tpm") || name.ends_with("-cert.pub");
}

FolderWatch::FolderWatch(const fs::path& folder)
    : folder_(fs::absolute(folder).lexically_normal()), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (!inotify_)
        throw Error::from_errno(errno, "watching the key folder (inotify)");
    if (!folder_.has_filename()) // "/a/b/" is "/a/b"
        folder_ = folder_.parent_path();
    watch_all();
}

/// Watches each folder of the path, from the root down, and then the tree. A folder is watched before its
/// content is read, so no change is missed. A folder that is watched already keeps its descriptor.
void FolderWatch::watch_all() {
    const auto before = std::exchange(watches_, {});
    fs::path reached;
    for (auto part = folder_.begin(); std::next(part) != folder_.end();) {
        reached /= *part;
        ++part;
        watch(reached, path_events, {.next = part->string()});
    }
    watch_tree();
    for (const auto& old : before)
        if (std::ranges::find(watches_, old.descriptor, &Watch::descriptor) == watches_.end())
            ::inotify_rm_watch(inotify_.value(), old.descriptor); // fails if the folder was deleted
    folders_changed_ = false;
}

void FolderWatch::watch_tree() {
    bool full = false;
    read_key_tree(folder_, [&](const fs::path& folder, bool with_subfolders) {
        const Watch entry{.with_subfolders = with_subfolders};
        if (folder == folder_)
            return watch(folder, tree_events, entry);
        if (full)
            return;
        try { // caught to go on with the watches that there are
            watch(folder, tree_events | IN_DONT_FOLLOW, entry);
        } catch (const Error& error) {
            full = true;
            if (!full_)
                log::error(printable(error.what()),
                           "; changes there and in further subfolders are seen only after SIGHUP");
        }
    });
    full_ = full;
}

void FolderWatch::watch(const fs::path& folder, std::uint32_t events, Watch watch) {
    watch.descriptor = ::inotify_add_watch(inotify_.value(), folder.c_str(), events | IN_ONLYDIR);
    if (watch.descriptor >= 0)
        watches_.push_back(std::move(watch));
    else if (!may_stay_unwatched(errno))
        throw Error::from_errno(errno, "watching " + folder.string() + " (inotify)");
}

bool FolderWatch::drain() {
    bool changed = false;
    // read fails if an event with the longest name does not fit (inotify(7)).
    std::array<char, 16 * 1024> events{};
    for (;;) {
        const auto got =
            uninterrupted([&] { return ::read(inotify_.value(), events.data(), events.size()); });
        if (got < 0 && errno != EAGAIN)
            throw Error::from_errno(errno, "watching the key folder");
        if (got <= 0)
            break;
        std::string_view rest(events.data(), static_cast<std::size_t>(got));
        while (rest.size() >= sizeof(inotify_event)) {
            inotify_event event{};
            std::memcpy(&event, rest.data(), sizeof event);
            const auto name = rest.substr(sizeof event, event.len); // padded with zeros
            changed |= take(event.wd, event.mask, name.substr(0, name.find('\0')));
            rest.remove_prefix(sizeof event + event.len);
        }
    }
    if (folders_changed_)
        watch_all();
    return changed;
}

/// @returns true if a key file, a folder of the tree or its path may have changed
bool FolderWatch::take(int descriptor, std::uint32_t mask, std::string_view name) {
    bool matters = (mask & IN_Q_OVERFLOW) != 0;
    bool folders_changed = matters;
    for (const auto& watch : watches_) {
        if (watch.descriptor != descriptor)
            continue;
        const bool gone = (mask & folder_itself_gone) != 0;
        const bool in_tree = watch.next.empty();
        const bool subfolder = watch.with_subfolders && (mask & IN_ISDIR) != 0 && is_key_folder_name(name);
        folders_changed |= gone || subfolder || (!in_tree && name == watch.next);
        matters |= folders_changed || (in_tree && (name.empty() || is_watched_name(name)));
    }
    folders_changed_ |= folders_changed;
    return matters;
}

} // namespace sshtpm::os
