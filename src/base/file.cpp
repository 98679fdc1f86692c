#include "base/file.hpp"

#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace sshtpm {

namespace {

namespace fs = std::filesystem;

/// Opened without waiting for whatever a FIFO or a device would have one wait for.
UniqueFd open_regular_file(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd)
        throw Error::from_errno(errno, path.string());
    struct stat status {};
    if (::fstat(fd.value(), &status) != 0)
        throw Error::from_errno(errno, path.string());
    if (S_ISDIR(status.st_mode))
        throw Error(Errc::malformed, path.string() + ": is a directory");
    if (!S_ISREG(status.st_mode))
        throw Error(Errc::malformed, path.string() + ": not a regular file");
    return fd;
}

std::size_t read_some(const UniqueFd& fd, std::span<std::uint8_t> room, const fs::path& path) {
    for (;;) {
        const auto got = ::read(fd.value(), room.data(), room.size());
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            throw Error::from_errno(errno, path.string());
    }
}

Error too_large(const fs::path& path, std::size_t ceiling) {
    return {Errc::malformed, path.string() + ": larger than " + std::to_string(ceiling) + " bytes"};
}

} // namespace

Bytes read_file(const fs::path& path, std::size_t ceiling) {
    const auto fd = open_regular_file(path);
    Bytes content(ceiling + 1); // one more, to see a file that is longer
    std::size_t length = 0;
    while (length < content.size()) {
        const auto got = read_some(fd, std::span(content).subspan(length), path);
        if (got == 0)
            break;
        length += got;
    }
    if (length > ceiling)
        throw too_large(path, ceiling);
    content.resize(length);
    content.shrink_to_fit();
    return content;
}

Secret read_secret_file(const fs::path& path, std::size_t ceiling) {
    const auto fd = open_regular_file(path);
    Secret content(ceiling);
    Wiped<std::array<std::uint8_t, 4096>> chunk;
    while (const auto got = read_some(fd, *chunk, path))
        if (!content.append(std::span(*chunk).first(got)))
            throw too_large(path, ceiling);
    return content;
}

bool is_there(const fs::path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0)
        return true;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
        return false;
    throw Error::from_errno(errno, path.string());
}

FileStamp stamp_of(const struct stat& status) noexcept {
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .modified = status.st_mtim.tv_sec * nanoseconds + status.st_mtim.tv_nsec,
            .size = status.st_size};
}

FileStamp stamp_of(const fs::path& path) noexcept {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? stamp_of(status) : FileStamp{};
}

bool make_folder(const fs::path& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) { // the umask may have taken some of it
        // By descriptor: whoever may write above may have put a link in its place.
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

} // namespace sshtpm
