// SPDX-License-Identifier: MIT
#include "os/opener.hpp"

#include "base/log.hpp"
#include "os/harden.hpp"
#include "os/process.hpp"
#include "os/sandbox.hpp"
#include "os/unix_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::os {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_request = 1 + PATH_MAX;

int flags_for(OpenKind kind) {
    constexpr int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    switch (kind) {
    case OpenKind::file:
        return O_RDONLY | flags;
    case OpenKind::folder:
        return O_RDONLY | O_DIRECTORY | flags;
    case OpenKind::device:
        return O_RDWR | flags;
    case OpenKind::removal:
        return O_PATH | O_NOFOLLOW | O_CLOEXEC;
    case OpenKind::socket:
        break;
    }
    return -1;
}

bool is_of_kind(int fd, OpenKind kind) {
    struct stat status = {};
    if (::fstat(fd, &status) != 0)
        return false;
    return kind == OpenKind::file     ? S_ISREG(status.st_mode)
           : kind == OpenKind::folder ? S_ISDIR(status.st_mode)
           : kind == OpenKind::device ? S_ISCHR(status.st_mode)
                                      : S_ISSOCK(status.st_mode);
}

/// The reply: errno, or 0 with a descriptor.
struct Reply {
    int failure = 0;
    UniqueFd fd = {};
};

/// The process that is served, and its socket's file.
struct Owner {
    pid_t process = 0;
    struct stat socket = {}; ///< zero for none
};

/// False if the owner has ended, or another file has this path: they may be those of another agent.
bool is_its_own(int socket, const Owner& owner) {
    struct stat status = {};
    return ::getppid() == owner.process && ::fstat(socket, &status) == 0 &&
           status.st_dev == owner.socket.st_dev && status.st_ino == owner.socket.st_ino;
}

Reply reply_to(ByteView message, const Openable& openable, const Owner& owner) {
    const auto request = parse_open_request(message);
    if (!request || !may_open(*request, openable))
        return {.failure = EACCES};
    auto fd = request->kind == OpenKind::socket
                  ? connect_to(request->path)
                  : UniqueFd(::open(request->path.c_str(), flags_for(request->kind)));
    if (!fd)
        return {.failure = errno};
    if (!is_of_kind(fd.value(), request->kind))
        return {.failure = EACCES};
    if (request->kind == OpenKind::removal) {
        if (!is_its_own(fd.value(), owner))
            return {.failure = EACCES};
        if (::unlink(request->path.c_str()) != 0)
            return {.failure = errno};
    }
    return {.fd = std::move(fd)};
}

/// A message of one int, with space for a descriptor, for sendmsg and recvmsg.
struct Message {
    int failure = 0;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec data{.iov_base = &failure, .iov_len = sizeof failure};
    msghdr header{};

    Message() {
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
};

bool send_reply(int socket, const Reply& reply) {
    Message message;
    message.failure = reply.failure;
    if (reply.fd) {
        const int fd = reply.fd.value();
        auto* const rights = CMSG_FIRSTHDR(&message.header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    } else {
        message.header.msg_controllen = 0;
    }
    return uninterrupted([&] { return ::sendmsg(socket, &message.header, MSG_NOSIGNAL); }) >= 0;
}

/// @returns nothing if the companion has ended, or its reply is malformed
std::optional<Reply> receive_reply(int socket) {
    Message message;
    const auto size = uninterrupted([&] { return ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC); });
    Reply reply{.failure = (message.header.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : message.failure};
    const auto* const rights = size > 0 ? CMSG_FIRSTHDR(&message.header) : nullptr;
    if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof(int))) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
        reply.fd.reset(fd);
    }
    if (size != sizeof message.failure || (reply.failure == 0) != static_cast<bool>(reply.fd))
        return std::nullopt;
    return reply;
}

/// False for a path with ".." in it below the folder.
bool is_below(std::string_view path, const std::string& folder) {
    const auto root = folder.ends_with('/') ? folder : folder + '/';
    if (folder.empty() || !path.starts_with(root))
        return false;
    const auto rest = std::string("/").append(path.substr(root.size())).append("/");
    return rest.find("/../") == std::string::npos;
}

bool is_stat_of_process(std::string_view path) {
    constexpr std::string_view before = "/proc/", behind = "/stat";
    if (!path.starts_with(before) || !path.ends_with(behind) || path.size() <= before.size() + behind.size())
        return false;
    path.remove_prefix(before.size());
    path.remove_suffix(behind.size());
    return parse_pid(path).has_value();
}

void serve_requests(UniqueFd socket, const Openable& openable, const Owner& owner) {
    redirect_to_null({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
    // The device's folder, because the device may come later.
    enter_sandbox({.readable = {"/"},
                   .writable = {openable.device.parent_path()},
                   .removable = openable.own_socket.parent_path()});
    std::array<std::uint8_t, most_request> buffer{};
    for (;;) {
        const auto size =
            uninterrupted([&] { return ::recv(socket.value(), buffer.data(), buffer.size(), 0); });
        if (size <= 0)
            return;
        const auto message = ByteView(buffer).first(static_cast<std::size_t>(size));
        if (!send_reply(socket.value(), reply_to(message, openable, owner)))
            return;
    }
}

Owner owner_of(const fs::path& socket) {
    Owner owner{.process = ::getpid()};
    if (::lstat(socket.c_str(), &owner.socket) != 0)
        owner.socket = {};
    return owner;
}

} // namespace

std::optional<OpenRequest> parse_open_request(ByteView message) {
    if (message.size() < 2 || message.size() >= most_request || message[0] < 1 ||
        message[0] > static_cast<std::uint8_t>(OpenKind::removal))
        return std::nullopt;
    std::string path(text_of(message.subspan(1)));
    if (path.front() != '/' || path.find('\0') != std::string::npos)
        return std::nullopt;
    return OpenRequest{.kind = static_cast<OpenKind>(message[0]), .path = std::move(path)};
}

bool may_open(const OpenRequest& request, const Openable& openable) {
    const std::string_view path = request.path;
    if (request.kind == OpenKind::device)
        return path == openable.device.native();
    if (request.kind == OpenKind::removal)
        return path == openable.own_socket.native();
    if (request.kind == OpenKind::socket)
        return path.size() < sizeof sockaddr_un::sun_path &&
               std::ranges::find(openable.sockets, path) != openable.sockets.end();
    const bool in_folder = is_below(path, openable.key_folder.native());
    if (request.kind == OpenKind::folder)
        return in_folder || path == openable.key_folder.native();
    return path == openable.readable.native() || is_stat_of_process(path) ||
           (in_folder && (path.ends_with(".tpm") || path.ends_with("-cert.pub")));
}

FileOpener::FileOpener(const Openable& openable)
    : companion_("ssh-tpm-opener", [&openable, owner = owner_of(openable.own_socket)](UniqueFd socket) {
          serve_requests(std::move(socket), openable, owner);
      }) {
    use_opener(this);
}

FileOpener::~FileOpener() {
    use_opener(nullptr);
}

UniqueFd FileOpener::open(const fs::path& path, int flags) {
    const auto kind = (flags & O_ACCMODE) == O_RDWR ? OpenKind::device
                      : (flags & O_DIRECTORY) != 0  ? OpenKind::folder
                                                    : OpenKind::file;
    return ask(kind, path);
}

UniqueFd FileOpener::connect(const fs::path& socket) {
    return ask(OpenKind::socket, socket);
}

bool FileOpener::unlink(const fs::path& path) {
    constexpr std::chrono::seconds patience{1};
    const std::unique_lock turn(turn_, patience);
    if (!turn) {
        errno = EAGAIN;
        return false;
    }
    constexpr timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
    ::setsockopt(companion_.socket(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return static_cast<bool>(ask_in_turn(OpenKind::removal, path));
}

UniqueFd FileOpener::ask(OpenKind kind, const fs::path& path) {
    const std::lock_guard turn(turn_);
    return ask_in_turn(kind, path);
}

UniqueFd FileOpener::ask_in_turn(OpenKind kind, const fs::path& path) {
    Bytes request{static_cast<std::uint8_t>(kind)};
    append(request, bytes_of(fs::absolute(path).native()));
    std::optional<Reply> reply;
    if (uninterrupted(
            [&] { return ::send(companion_.socket(), request.data(), request.size(), MSG_NOSIGNAL); }) >= 0)
        reply = receive_reply(companion_.socket());
    if (!reply) // a late reply must not be taken for the next one
        ::shutdown(companion_.socket(), SHUT_RDWR);
    if (!reply && !std::exchange(told_, true))
        log::error("the process that opens files for this agent has ended, or does not answer: ",
                   kind == OpenKind::removal ? "the socket stays" : "restart the agent");
    errno = reply ? reply->failure : EIO;
    return reply ? std::move(reply->fd) : UniqueFd();
}

} // namespace sshtpm::os
