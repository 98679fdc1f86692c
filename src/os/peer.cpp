#include "os/peer.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace sshtpm::os {

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
