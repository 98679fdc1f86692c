#include "base/staged_file.hpp"

#include "base/error.hpp"
#include "base/file_attributes.hpp"

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

std::string random_suffix() {
    std::array<std::uint8_t, 6> random{};
    randombytes_buf(random.data(), random.size());
    return hex(random);
}

fs::path where_links_lead(const fs::path& path) {
    std::error_code failure;
    auto target = fs::canonical(path, failure);
    if (failure)
        throw Error::from_errno(failure.value(), path.string());
    return target;
}

/// The file in this folder, when it is still the one with this stamp and has no other hard link.
UniqueFd open_as_read(int folder, const std::string& name, const FileStamp& read, const fs::path& path) {
    UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.value(), &status) != 0)
        throw Error::from_errno(errno, path.string());
    if (!S_ISREG(status.st_mode))
        throw Error(Errc::malformed, path.string() + ": not a regular file");
    if (stamp_of(status) != read)
        throw Error(Errc::exists,
                    path.string() + ": another program has changed it meanwhile; nothing was written",
                    "try again");
    if (status.st_nlink > 1)
        throw Error(Errc::exists,
                    path.string() + ": the file has " + std::to_string(status.st_nlink) +
                        " hard links, and the others would keep the old content; nothing was changed",
                    "find -samefile lists them: remove the others, or make symbolic links of them");
    return file;
}

} // namespace

StagedFile::StagedFile(const fs::path& path, const fs::path& place)
    : path_(path), name_(place.filename().string()), temporary_("." + name_ + "." + random_suffix()) {
    const auto folder = place.has_parent_path() ? place.parent_path() : fs::path(".");
    folder_.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder_)
        throw Error::from_errno(errno, folder.string());
}

StagedFile::StagedFile(const fs::path& path, ByteView content, mode_t mode, Existing existing)
    : StagedFile(path, path) {
    existing_ = existing;
    write(content);
    if (::fchmod(file_.value(), mode) != 0 || ::fsync(file_.value()) != 0)
        throw failure();
}

StagedFile::StagedFile(const fs::path& path, ByteView content, const FileStamp& read)
    : StagedFile(path, where_links_lead(path)) {
    const auto old = open_as_read(folder_.value(), name_, read, path);
    write(content);
    copy_attributes(old.value(), file_.value(), path);
    if (::fsync(file_.value()) != 0)
        throw failure();
}

StagedFile::~StagedFile() {
    if (state_ == State::taken)
        ::unlinkat(folder_.value(), name_.c_str(), 0);
    // Where the old file cannot be put back, it is kept under the temporary name.
    const bool is_back = state_ != State::exchanged || rename(RENAME_EXCHANGE) || rename(RENAME_NOREPLACE);
    if (file_ && state_ != State::done && is_back)
        ::unlinkat(folder_.value(), temporary_.c_str(), 0);
}

void StagedFile::commit() {
    const bool placed = existing_ == Existing::keep ? take_free_name() : rename(0);
    if (!placed)
        throw failure();
    settle();
}

void StagedFile::take_place() {
    if (existing_ == Existing::replace && exchange()) {
        state_ = State::exchanged;
    } else if (existing_ == Existing::keep || errno == ENOENT) {
        if (!take_free_name())
            throw failure();
        state_ = State::taken;
    } else if (errno == EINVAL) {
        commit();
    } else {
        throw failure();
    }
}

void StagedFile::accept() noexcept {
    if (state_ == State::exchanged)
        ::unlinkat(folder_.value(), temporary_.c_str(), 0);
    settle();
}

void StagedFile::write(ByteView content) {
    file_.reset(::openat(folder_.value(), temporary_.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_)
        throw failure();
    while (!content.empty()) {
        const auto written = ::write(file_.value(), content.data(), content.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw failure();
        content = content.subspan(static_cast<std::size_t>(written));
    }
}

bool StagedFile::rename(unsigned flags) noexcept {
    return ::renameat2(folder_.value(), temporary_.c_str(), folder_.value(), name_.c_str(), flags) == 0;
}

bool StagedFile::take_free_name() noexcept {
    if (rename(RENAME_NOREPLACE))
        return true;
    // NFS has no such rename, but hard links.
    if (errno != EINVAL ||
        ::linkat(folder_.value(), temporary_.c_str(), folder_.value(), name_.c_str(), 0) != 0)
        return false;
    ::unlinkat(folder_.value(), temporary_.c_str(), 0);
    return true;
}

/// Not with a folder: it could be exchanged, but not be removed afterwards.
bool StagedFile::exchange() noexcept {
    struct stat status {};
    if (::fstatat(folder_.value(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    return rename(RENAME_EXCHANGE);
}

void StagedFile::settle() noexcept {
    state_ = State::done;
    ::fsync(folder_.value()); // some file systems cannot; the name is there all the same
}

Error StagedFile::failure() const {
    return Error::from_errno(errno, path_.string());
}

void commit(StagedFile& first, StagedFile& last) {
    first.take_place();
    last.commit();
    first.accept();
}

void write_file(const fs::path& path, ByteView content, mode_t mode, Existing existing) {
    StagedFile(path, content, mode, existing).commit();
}

void rewrite_file(const fs::path& path, ByteView content, const FileStamp& read) {
    StagedFile(path, content, read).commit();
}

} // namespace sshtpm
