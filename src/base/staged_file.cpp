// SPDX-License-Identifier: MIT
#include "base/staged_file.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include <sodium.h>

namespace sshtpm {

namespace {

namespace fs = std::filesystem;

#ifndef RENAME_EXCHANGE // musl 1.2.5 lacks the function and its flags
constexpr unsigned RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2;

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
    return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
#endif

/// A hidden name beside `name` that no other file has. It is short enough for any file system, where `name`
/// itself may have the greatest length.
std::string temporary_name(const std::string& name) {
    constexpr std::size_t long_name = 100;
    std::array<std::uint8_t, 6> random{};
    randombytes_buf(random.data(), random.size());
    return "." + (name.size() < long_name ? name : "ssh-tpm") + "." + hex(random);
}

fs::path where_links_lead(const fs::path& path) {
    std::error_code failure;
    auto target = fs::canonical(path, failure);
    if (failure)
        throw Error::from_errno(failure.value(), path.string());
    return target;
}

/// @throws Error(exists) if the file has another stamp now, or other hard links
UniqueFd open_as_read(int folder, const std::string& name, const FileStamp& read, const fs::path& path) {
    UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status = {};
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

constexpr const char* access_list = "system.posix_acl_access";
constexpr mode_t permissions = 0777;

Error cannot_keep(const fs::path& path, const char* what) {
    const auto error = Error::from_errno(errno, path.string() + ": its " + what + " cannot be kept");
    return {Errc::permission, error.what(), "nothing was changed; do it as the file's owner, or as root"};
}

struct stat status_of(int fd, const fs::path& path) {
    struct stat status = {};
    if (::fstat(fd, &status) != 0)
        throw Error::from_errno(errno, path.string());
    return status;
}

/// Nothing if the file does not have the attribute.
std::optional<Bytes> attribute(int fd, const char* name) {
    constexpr std::size_t most = 65'536; // XATTR_SIZE_MAX
    Bytes value(most);
    const auto size = ::fgetxattr(fd, name, value.data(), value.size());
    if (size < 0)
        return std::nullopt;
    value.resize(static_cast<std::size_t>(size));
    return value;
}

/// The access list, and attributes that users and SELinux set. The others belong to one content (IMA, EVM,
/// capabilities) or to the kernel.
std::vector<std::string> kept_attributes(int fd) {
    std::vector<std::string> kept{access_list};
    std::string names(65'536, '\0'); // XATTR_LIST_MAX
    const auto size = ::flistxattr(fd, names.data(), names.size());
    names.resize(size < 0 ? 0 : static_cast<std::size_t>(size)); // below 0: the file system has no attributes
    for (std::size_t at = 0; at < names.size();) {
        const std::string name(names.c_str() + at);
        if (name.starts_with("user.") || name == "security.selinux")
            kept.push_back(name);
        at += name.size() + 1;
    }
    return kept;
}

/// Gives the file of one descriptor the owner, group, mode, access list and attributes of the other's.
void copy_attributes(int from, int to, const fs::path& path) {
    const auto wanted = status_of(from, path), made = status_of(to, path);
    if ((wanted.st_uid != made.st_uid || wanted.st_gid != made.st_gid) &&
        ::fchown(to, wanted.st_uid, wanted.st_gid) != 0)
        throw cannot_keep(path, "owner and group");
    for (const auto& name : kept_attributes(from)) {
        const auto value = attribute(from, name.c_str());
        if (value == attribute(to, name.c_str()))
            continue;
        // The new file may have an access list from its folder; it goes if the old file had none.
        if ((value ? ::fsetxattr(to, name.c_str(), value->data(), value->size(), 0)
                   : ::fremovexattr(to, name.c_str())) != 0)
            throw cannot_keep(path, "access list and attributes");
    }
    const auto now = status_of(to, path);
    if ((now.st_mode & permissions) != (wanted.st_mode & permissions) &&
        ::fchmod(to, wanted.st_mode & permissions) != 0)
        throw cannot_keep(path, "mode");
}

} // namespace

StagedFile::StagedFile(const fs::path& path, const fs::path& place)
    : path_(path), name_(place.filename().string()), temporary_(temporary_name(name_)) {
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

StagedFile::StagedFile(const fs::path& path) : StagedFile(path, path) {}

StagedFile::~StagedFile() {
    if (state_ == State::staged && file_)
        ::unlinkat(folder_.value(), temporary_.c_str(), 0);
    if ((state_ == State::placed || state_ == State::set_aside) && !take_back())
        log::error("not taken back: ", printable(path_.string()), ": ", std::strerror(errno),
                   state_ == State::placed ? ""
                                           : "; the old file beside it is named " + printable(temporary_));
}

/// @returns false, with errno set, if another program has changed the file meanwhile, or the system refuses
bool StagedFile::take_back() noexcept {
    if (!file_) // a removal
        return take_free_name();
    struct stat ours = {}, now = {};
    if (::fstat(file_.value(), &ours) != 0 ||
        ::fstatat(folder_.value(), name_.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (stamp_of(ours) != stamp_of(now)) {
        errno = EEXIST;
        return false;
    }
    return state_ == State::placed ? ::unlinkat(folder_.value(), name_.c_str(), 0) == 0 : rename(0);
}

void StagedFile::commit() {
    const bool placed = existing_ == Existing::keep ? take_free_name() : rename(0);
    if (!placed)
        throw failure();
    settle();
}

void StagedFile::take_place() {
    if (existing_ == Existing::replace && set_old_aside()) {
        state_ = State::set_aside;
    } else if (file_ && (existing_ == Existing::keep || errno == ENOENT) && take_free_name()) {
        state_ = State::placed;
    } else {
        throw failure();
    }
}

void StagedFile::accept() noexcept {
    if (state_ == State::set_aside)
        ::unlinkat(folder_.value(), temporary_.c_str(), 0);
    settle();
}

void StagedFile::write(ByteView content) {
    file_.reset(::openat(folder_.value(), temporary_.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_)
        throw failure();
    while (!content.empty()) {
        const auto written =
            uninterrupted([&] { return ::write(file_.value(), content.data(), content.size()); });
        if (written < 0)
            throw failure();
        content = content.subspan(static_cast<std::size_t>(written));
    }
}

bool StagedFile::rename(unsigned flags) noexcept {
    return renameat2(folder_.value(), temporary_.c_str(), folder_.value(), name_.c_str(), flags) == 0;
}

bool StagedFile::take_free_name() noexcept {
    if (rename(RENAME_NOREPLACE))
        return true;
    // NFS cannot rename without replacing, but it has hard links.
    if (errno != EINVAL ||
        ::linkat(folder_.value(), temporary_.c_str(), folder_.value(), name_.c_str(), 0) != 0)
        return false;
    ::unlinkat(folder_.value(), temporary_.c_str(), 0);
    return true;
}

/// Gives the old file the temporary name, and its name to the new one.
/// @returns false, with errno set, if nothing has changed
bool StagedFile::set_old_aside() {
    if (!file_) // a removal
        return ::renameat(folder_.value(), name_.c_str(), folder_.value(), temporary_.c_str()) == 0;
    struct stat status = {};
    if (::fstatat(folder_.value(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode)) {
        errno = EISDIR; // it could be exchanged, but not removed afterwards
        return false;
    }
    if (rename(RENAME_EXCHANGE))
        return true;
    if (errno != EINVAL)
        return false;
    // NFS and ZFS cannot exchange two files, but they have hard links.
    const auto aside = temporary_name(name_);
    if (::linkat(folder_.value(), name_.c_str(), folder_.value(), aside.c_str(), 0) != 0) {
        const auto error = Error::from_errno(errno, path_.string() + ": cannot keep the old file");
        throw Error(error.code(), error.what(), "nothing was changed; move the old file away first");
    }
    if (rename(0)) {
        temporary_ = aside;
        return true;
    }
    const int reason = errno;
    ::unlinkat(folder_.value(), aside.c_str(), 0);
    errno = reason;
    return false;
}

void StagedFile::settle() noexcept {
    state_ = State::done;
    ::fsync(folder_.value()); // may fail: some file systems cannot
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
