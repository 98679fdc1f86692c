// SPDX-License-Identifier: MIT
#pragma once
// Addresses and peers of UNIX sockets.

#include "base/unique_fd.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

namespace sshtpm::os {

/// @throws Error(usage) for a path longer than 107 bytes, or an empty one
sockaddr_un unix_address(std::string_view path);

/// For connect(2) and bind(2), which take an address of any type.
inline const sockaddr* generic(const sockaddr_un& address) noexcept {
    return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

/// Connects a stream socket, non-blocking, or has the opener of this process connect it (base/file.hpp).
/// @returns an empty one, with errno set, on failure: EAGAIN if the listener's backlog is full
/// @throws Error as unix_address
UniqueFd connect_to(const std::filesystem::path& path);

/// The path that a socket is bound to, or "@" and its abstract name (unix(7)), as systemd writes it; empty if
/// it has neither. @throws Error(io)
std::string bound_name(int socket);

/// The process at the other end of a connection.
struct Peer {
    pid_t pid = 0;
    uid_t uid = 0; ///< effective, at the time of connect(2)
};

/// @throws Error(io)
Peer peer_of(int socket);

/// True for processes of this user and of root. As in ssh-agent, no others may use the agent; and the agent
/// and its clients send secrets to no others.
bool may_use_agent(const Peer& peer);

} // namespace sshtpm::os
