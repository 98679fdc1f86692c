// SPDX-License-Identifier: MIT
#include "os/secret_line.hpp"

#include "base/error.hpp"
#include "base/shell_word.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace sshtpm::os {

namespace {

bool others_have_rights(int fd, const struct stat& status) {
    if ((status.st_mode & S_IRWXO) != 0)
        return true;
    if ((status.st_mode & S_IRWXG) == 0)
        return false;
    std::array<std::uint8_t, 1024> acl{}; // 127 entries; the call fails for more
    const auto size = ::fgetxattr(fd, "system.posix_acl_access", acl.data(), acl.size());
    return size < 0 || lets_others_in(ByteView(acl).first(static_cast<std::size_t>(size)), ::geteuid());
}

/// Pipes, sockets and devices have no owner or mode that tells who can read the secret.
void require_private(int fd, const std::string& name) {
    struct stat status = {};
    if (::fstat(fd, &status) != 0)
        throw Error::from_errno(errno, name);
    if (::isatty(fd) == 1)
        throw Error(Errc::refused, name + ": is a terminal, which would show the secret",
                    "leave the option out: the program then asks, and shows nothing");
    if (S_ISREG(status.st_mode) && status.st_uid != ::geteuid() && status.st_uid != 0)
        throw Error(Errc::permission,
                    name + ": belongs to another user (uid " + std::to_string(status.st_uid) + ")",
                    "a PIN or a password is read from a file of this user or of root");
    if ((S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode)) && others_have_rights(fd, status))
        throw Error(Errc::permission, name + ": other users can read it, so it is not used",
                    "`chmod 600 " + (fd == STDIN_FILENO ? "FILE" : shell_word(name)) +
                        "`, and a new PIN or password if somebody may have read it");
}

Secret first_line(int fd, const std::string& name, std::size_t most) {
    constexpr std::size_t carriage_return = 1;
    const auto too_long = [&] {
        return Error(Errc::malformed,
                     name + ": the first line has more than " + std::to_string(most) + " bytes");
    };
    Secret line(most + carriage_return);
    for (;;) {
        Wiped<std::array<std::uint8_t, 1>> byte;
        const auto got = uninterrupted([&] { return ::read(fd, byte->data(), 1); });
        if (got < 0)
            throw Error::from_errno(errno, name);
        if (got == 0 || byte->front() == '\n')
            break;
        if (byte->front() == 0)
            throw Error(Errc::malformed, name + ": the first line has a NUL byte",
                        "it has to be plain text, such as ASCII or UTF-8");
        if (!line.append(*byte))
            throw too_long();
    }
    if (text_of(line.view()).ends_with('\r'))
        line.truncate(line.size() - 1);
    if (line.size() > most)
        throw too_long();
    if (line.empty())
        throw Error(Errc::malformed, name + ": the first line is empty");
    return line;
}

std::uint32_t little_endian(ByteView bytes) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = bytes.size(); i > 0; --i)
        value = value << 8U | bytes[i - 1];
    return value;
}

} // namespace

bool lets_others_in(ByteView acl, uid_t own) noexcept {
    constexpr std::uint32_t version = 2, user_obj = 1, user = 2, group_obj = 4, group = 8, mask = 0x10;
    constexpr std::size_t header = 4, entry = 8;
    if (acl.size() % entry != header || little_endian(acl.first(header)) != version)
        return true;
    std::uint32_t named = 0, most = 7; // without a mask all rights count
    for (acl = acl.subspan(header); !acl.empty(); acl = acl.subspan(entry)) {
        const auto tag = little_endian(acl.first(2)), rights = little_endian(acl.subspan(2, 2));
        const auto id = little_endian(acl.subspan(4, 4));
        if (tag == mask)
            most = rights;
        else if (tag == group_obj || tag == group || (tag == user && id != own && id != 0))
            named |= rights;
        else if (tag != user_obj && tag != user && rights != 0) // all others
            return true;
    }
    return (named & most) != 0;
}

Secret read_secret_line(const UniqueFd& file, const std::string& name, std::size_t most) {
    return first_line(file.value(), name, most);
}

Secret read_secret_line(const std::string& path, std::size_t most) {
    if (path == "-") {
        const std::string name = "standard input";
        require_private(STDIN_FILENO, name);
        return first_line(STDIN_FILENO, name, most);
    }
    const UniqueFd file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC); }));
    if (!file)
        throw Error::from_errno(errno, path);
    require_private(file.value(), path);
    return first_line(file.value(), path, most);
}

UniqueFd pipe_holding(const Secret& secret) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw Error::from_errno(errno, "pipe2");
    UniqueFd to_read(ends[0]);
    const UniqueFd to_write(ends[1]);
    // A pipe takes PIPE_BUF bytes whole, and the longest secret is shorter.
    if (::write(to_write.value(), secret.view().data(), secret.size()) != static_cast<ssize_t>(secret.size()))
        throw Error::from_errno(errno, "writing to a pipe");
    return to_read;
}

} // namespace sshtpm::os
