#include "base/file_attributes.hpp"

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace sshtpm {

namespace {

constexpr const char* access_list = "system.posix_acl_access";
constexpr mode_t permissions = 0777;

Error cannot_keep(const std::filesystem::path& path, const char* what) {
    const int reason = errno;
    auto error = Error::from_errno(reason, path.string() + ": its " + what + " cannot be kept");
    return {Errc::permission, error.what(), "nothing was changed; do it as the file's owner, or as root"};
}

struct stat status_of(int fd, const std::filesystem::path& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        throw Error::from_errno(errno, path.string());
    return status;
}

/// The value; nothing when the file does not have it.
std::optional<Bytes> attribute(int fd, const char* name) {
    constexpr std::size_t most = 65'536; // XATTR_SIZE_MAX
    Bytes value(most);
    const auto size = ::fgetxattr(fd, name, value.data(), value.size());
    if (size < 0)
        return std::nullopt;
    value.resize(static_cast<std::size_t>(size));
    return value;
}

/// The access list and the attributes that people and policies attach. Others belong to one content (IMA,
/// EVM, capabilities) or to the kernel.
std::vector<std::string> kept_attributes(int fd) {
    std::vector<std::string> kept{access_list};
    std::string names(65'536, '\0'); // XATTR_LIST_MAX
    const auto size = ::flistxattr(fd, names.data(), names.size());
    names.resize(size < 0 ? 0 : static_cast<std::size_t>(size)); // less: a file system without any
    for (std::size_t at = 0; at < names.size();) {
        const std::string name(names.c_str() + at);
        if (name.starts_with("user.") || name == "security.selinux")
            kept.push_back(name);
        at += name.size() + 1;
    }
    return kept;
}

} // namespace

void copy_attributes(int from, int to, const std::filesystem::path& path) {
    const auto wanted = status_of(from, path), made = status_of(to, path);
    if ((wanted.st_uid != made.st_uid || wanted.st_gid != made.st_gid) &&
        ::fchown(to, wanted.st_uid, wanted.st_gid) != 0)
        throw cannot_keep(path, "owner and group");
    for (const auto& name : kept_attributes(from)) {
        const auto value = attribute(from, name.c_str());
        if (value == attribute(to, name.c_str()))
            continue;
        // A folder gives its new files an access list: one that the old file did not have is taken away.
        if ((value ? ::fsetxattr(to, name.c_str(), value->data(), value->size(), 0)
                   : ::fremovexattr(to, name.c_str())) != 0)
            throw cannot_keep(path, "access list and attributes");
    }
    const auto now = status_of(to, path);
    if ((now.st_mode & permissions) != (wanted.st_mode & permissions) &&
        ::fchmod(to, wanted.st_mode & permissions) != 0)
        throw cannot_keep(path, "mode");
}

} // namespace sshtpm
