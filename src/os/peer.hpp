#pragma once
// Who is at the other end of a UNIX socket.

#include <sys/types.h>

namespace sshtpm::os {

struct Peer {
    pid_t pid = 0;
    uid_t uid = 0; ///< effective, when it connected
};

/// @throws Error(io)
Peer peer_of(int socket);

/// The peers that an agent serves, as ssh-agent does, and those that it and its clients send secrets to:
/// processes of the same user and of root.
bool may_use_agent(const Peer& peer);

} // namespace sshtpm::os
