#include "os/folder_watch.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <cstring>
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
constexpr std::uint32_t key_folder_events = path_events | IN_CLOSE_WRITE;

/// True for the errors of a folder that is missing, is a file, or is closed to this user. Other errors are
/// reported, such as ENOSPC, the user's limit on watches.
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
    watch_path();
}

/// Watches each folder of the path, from the root down. A folder is watched before its content is read, so no
/// change is missed. A folder that is watched already keeps its descriptor.
void FolderWatch::watch_path() {
    const auto before = std::exchange(watches_, {});
    fs::path reached;
    for (auto part = folder_.begin(); part != folder_.end();) {
        reached /= *part;
        ++part;
        watch(reached, part == folder_.end() ? std::string() : part->string());
    }
    for (const auto& old : before)
        if (std::ranges::find(watches_, old.descriptor, &Watch::descriptor) == watches_.end())
            ::inotify_rm_watch(inotify_.value(), old.descriptor); // fails if the folder was deleted
    path_changed_ = false;
}

void FolderWatch::watch(const fs::path& folder, const std::string& next) {
    const auto mask = next.empty() ? key_folder_events : path_events;
    const int descriptor = ::inotify_add_watch(inotify_.value(), folder.c_str(), mask | IN_ONLYDIR);
    if (descriptor >= 0)
        watches_.push_back({.descriptor = descriptor, .next = next});
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
    if (path_changed_)
        watch_path();
    return changed;
}

/// @returns true if a key file, the folder or its path may have changed
bool FolderWatch::take(int descriptor, std::uint32_t mask, std::string_view name) {
    bool matters = (mask & IN_Q_OVERFLOW) != 0;
    bool path_changed = matters;
    for (const auto& watch : watches_) {
        if (watch.descriptor != descriptor)
            continue;
        const bool gone = (mask & folder_itself_gone) != 0;
        const bool is_last = watch.next.empty();
        path_changed |= gone || (!is_last && name == watch.next);
        matters |= path_changed || (is_last && (name.empty() || is_watched_name(name)));
    }
    path_changed_ |= path_changed;
    return matters;
}

} // namespace sshtpm::os
