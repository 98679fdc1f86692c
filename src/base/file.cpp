#include "base/file.hpp"

#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

namespace sshtpm {

namespace {

namespace fs = std::filesystem;

/// A file that goes again unless it was given its name.
class Temporary {
  public:
    explicit Temporary(const fs::path& target) {
        // The folder is held open: the name, the rename and the sync mean one folder, whatever happens to
        // the path meanwhile.
        const auto folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
        folder_.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!folder_)
            throw Error::from_errno(errno, folder.string());
        name_ = std::string(".") + target.filename().string() + "." + random_suffix();
        file_.reset(::openat(folder_.value(), name_.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_)
            throw Error::from_errno(errno, target.string());
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary() {
        if (!name_.empty())
            ::unlinkat(folder_.value(), name_.c_str(), 0);
    }

    int fd() const { return file_.value(); }

    void become(const fs::path& target, Existing existing) {
        const auto flags = existing == Existing::keep ? RENAME_NOREPLACE : 0U;
        if (::renameat2(folder_.value(), name_.c_str(), folder_.value(), target.filename().c_str(), flags) !=
            0)
            throw Error::from_errno(errno, target.string());
        name_.clear();
        ::fsync(folder_.value()); // some file systems cannot; the name is there all the same
    }

  private:
    static std::string random_suffix() {
        std::array<std::uint8_t, 6> random{};
        randombytes_buf(random.data(), random.size());
        return hex(random);
    }

    UniqueFd folder_;
    UniqueFd file_;
    std::string name_;
};

void write_all(int fd, ByteView content, const fs::path& path) {
    while (!content.empty()) {
        const auto written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw Error::from_errno(errno, path.string());
        content = content.subspan(static_cast<std::size_t>(written));
    }
}

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

void write_file(const fs::path& path, ByteView content, mode_t mode, Existing existing) {
    Temporary temporary(path);
    write_all(temporary.fd(), content, path);
    if (::fchmod(temporary.fd(), mode) != 0 || ::fsync(temporary.fd()) != 0)
        throw Error::from_errno(errno, path.string());
    temporary.become(path, existing);
}

FileStamp stamp_of(const fs::path& path) noexcept {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
        return {};
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .modified = status.st_mtim.tv_sec * nanoseconds + status.st_mtim.tv_nsec,
            .size = status.st_size};
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

} // namespace sshtpm
