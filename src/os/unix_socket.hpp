#pragma once
// Addresses of UNIX sockets.

#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace sshtpm::os {

/// @throws Error(usage) for a path longer than 107 bytes, or an empty one.
sockaddr_un unix_address(std::string_view path);

/// The path that a socket is bound to; empty when it has none. @throws Error(io)
std::string bound_path(int socket);

/// connect(2) and bind(2) take the address of any family through this one type.
inline const sockaddr* generic(const sockaddr_un& address) noexcept {
    return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

} // namespace sshtpm::os
