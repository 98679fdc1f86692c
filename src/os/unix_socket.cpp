// SPDX-License-Identifier: MIT
#include "os/unix_socket.hpp"

#include "base/error.hpp"
#include "base/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <unistd.h>

namespace sshtpm::os {

sockaddr_un unix_address(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty())
        throw Error(Errc::usage, "an empty path for a socket");
    if (path.size() >= sizeof address.sun_path)
        throw Error(Errc::usage, std::string(path) + ": longer than a socket's path may be (107 bytes)");
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

UniqueFd connect_to(const std::filesystem::path& path) {
    const auto address = unix_address(path.native());
    if (opener() != nullptr)
        return opener()->connect(path);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket &&
        uninterrupted([&] { return ::connect(socket.value(), generic(address), sizeof address); }) != 0)
        socket.reset();
    return socket;
}

std::string bound_name(int socket) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    auto* const any = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (::getsockname(socket, any, &size) != 0)
        throw Error::from_errno(errno, "the socket's name");
    const auto bytes = std::min<std::size_t>(size, sizeof address) - offsetof(sockaddr_un, sun_path);
    if (bytes > 0 && address.sun_path[0] == '\0') // an abstract name may contain more of them
        return "@" + std::string(address.sun_path + 1, bytes - 1);
    return {address.sun_path, ::strnlen(address.sun_path, bytes)}; // a path of 108 bytes has no NUL
}

Peer peer_of(int socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        throw Error::from_errno(errno, "the peer of a connection");
    return {.pid = credentials.pid, .uid = credentials.uid};
}

bool may_use_agent(const Peer& peer) {
    return peer.uid == 0 || peer.uid == ::geteuid();
}

} // namespace sshtpm::os
