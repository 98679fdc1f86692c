// SPDX-License-Identifier: MIT
#include "base/file.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace sshtpm {

namespace {

namespace fs = std::filesystem;

Opener* opener_in_use = nullptr;

UniqueFd open_file(const fs::path& path, FileKind kind) {
    const bool any = kind == FileKind::any;
    constexpr int flags = O_RDONLY | O_NOCTTY | O_CLOEXEC;
    auto fd = any && path == "-" ? UniqueFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0))
                                 : open_path(path, any ? flags : flags | O_NONBLOCK);
    const int reason = errno;
    struct stat status = {};
    // A file of another kind is named as such even if it does not open.
    if ((fd ? ::fstat(fd.value(), &status) : ::stat(path.c_str(), &status)) != 0)
        throw Error::from_errno(fd ? errno : reason, shown_name(path));
    if (S_ISDIR(status.st_mode))
        throw Error(Errc::malformed, path.string() + ": is a directory");
    if (!any && !S_ISREG(status.st_mode))
        throw Error(Errc::malformed, path.string() + ": not a regular file");
    if (!fd)
        throw Error::from_errno(reason, shown_name(path));
    return fd;
}

/// Reads a file in pieces. `append` returns false if a piece exceeds the ceiling.
template <class Append>
void read_pieces(const fs::path& path, std::size_t ceiling, FileKind kind, const Append& append) {
    const auto fd = open_file(path, kind);
    Wiped<std::array<std::uint8_t, 4096>> piece;
    for (;;) {
        const auto size = uninterrupted([&] { return ::read(fd.value(), piece->data(), piece->size()); });
        if (size < 0)
            throw Error::from_errno(errno, shown_name(path));
        if (size == 0)
            return;
        if (!append(ByteView(*piece).first(static_cast<std::size_t>(size))))
            throw Error(Errc::malformed,
                        shown_name(path) + ": larger than " + std::to_string(ceiling) + " bytes");
    }
}

} // namespace

void use_opener(Opener* opener) noexcept {
    opener_in_use = opener;
}

Opener* opener() noexcept {
    return opener_in_use;
}

UniqueFd open_path(const fs::path& path, int flags) {
    UniqueFd fd(::open(path.c_str(), flags));
    if (!fd && errno == EACCES && opener() != nullptr)
        fd = opener()->open(path, flags);
    return fd;
}

bool unlink_path(const fs::path& path) {
    return ::unlink(path.c_str()) == 0 || (errno == EACCES && opener() != nullptr && opener()->unlink(path));
}

Bytes read_file(const fs::path& path, std::size_t ceiling, FileKind kind) {
    Bytes content;
    read_pieces(path, ceiling, kind, [&](ByteView piece) {
        append(content, piece);
        return content.size() <= ceiling;
    });
    return content;
}

Secret read_secret_file(const fs::path& path, std::size_t ceiling) {
    Secret content(ceiling);
    read_pieces(path, ceiling, FileKind::any, [&](ByteView piece) { return content.append(piece); });
    return content;
}

std::string shown_name(const fs::path& path) {
    return path == "-" ? "(stdin)" : path.string();
}

bool is_there(const fs::path& path) {
    struct stat status = {};
    if (::lstat(path.c_str(), &status) == 0)
        return true;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
        return false;
    throw Error::from_errno(errno, path.string());
}

std::vector<fs::path> entries_of(const fs::path& folder) {
    std::error_code failure;
    std::vector<fs::path> entries;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure))
        entries.push_back(entry->path());
    if (failure)
        throw Error::from_errno(failure.value(), folder.string());
    std::ranges::sort(entries);
    return entries;
}

FileStamp stamp_of(const struct stat& status) noexcept {
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .modified = status.st_mtim.tv_sec * nanoseconds + status.st_mtim.tv_nsec,
            .size = status.st_size};
}

FileStamp stamp_of(const fs::path& path) noexcept {
    struct stat status = {};
    return ::stat(path.c_str(), &status) == 0 ? stamp_of(status) : FileStamp{};
}

bool is_being_written(const fs::path& path, const FileStamp& read) {
    // The kernel gives no lease on a file that is open for writing (fcntl(2)). Closing gives the lease back.
    // A process that opens the file meanwhile waits for that, and the kernel sends this one a signal. SIGIO
    // would end it, so SIGURG is chosen, which is ignored.
    const auto fd = open_path(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd && ::fcntl(fd.value(), F_SETSIG, SIGURG) == 0 && ::fcntl(fd.value(), F_SETLEASE, F_RDLCK) != 0 &&
        errno == EAGAIN)
        return true;
    return stamp_of(path) != read;
}

bool make_folder(const fs::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) {
        // The umask may have cleared bits of the mode. fchmod(2) sets them, because another user with write
        // access to the parent folder could have replaced the new folder by a symbolic link.
        const UniqueFd made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!made || ::fchmod(made.value(), mode) != 0)
            throw Error::from_errno(errno, path.string());
        return true;
    }
    const int reason = errno;
    if (reason == EEXIST && fs::is_directory(path))
        return false;
    throw Error::from_errno(reason, path.string());
}

void make_folders(const fs::path& path, mode_t mode) {
    std::error_code ignored;
    if (path.empty() || fs::exists(path, ignored))
        return;
    make_folders(path.parent_path(), mode);
    make_folder(path, mode);
}

bool lock_file(const UniqueFd& file, int operation, std::chrono::milliseconds patience,
               std::string_view name) {
    constexpr std::chrono::milliseconds pause{2};
    const auto end = std::chrono::steady_clock::now() + patience;
    while (::flock(file.value(), operation | LOCK_NB) != 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            throw Error::from_errno(errno, name);
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

UniqueFd lock_folder(const fs::path& folder, std::chrono::milliseconds patience) {
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        throw Error::from_errno(errno, folder.string());
    return lock_file(fd, LOCK_EX, patience, folder.string()) ? std::move(fd) : UniqueFd();
}

} // namespace sshtpm
