#pragma once
// The known_hosts files of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), for those who ask which keys a
// host has.

#include "base/bytes.hpp"

#include <string_view>
#include <vector>

namespace sshtpm::ssh {

struct KnownHost {
    Bytes key_blob;
    bool is_ca = false; ///< @cert-authority: not the host's key, but one that signs certificates of hosts

    friend bool operator==(const KnownHost&, const KnownHost&) = default;
};

/// The keys of the lines that name the host, in their order. As with OpenSSH, a line that is broken is as
/// good as none, names that are hashed have the case that they were hashed with, and a key that one line
/// revokes is still given when another line has it. Lines with @revoked give nothing.
/// @param text the file's content.
/// @param host a name or an address, for other ports than 22 "[host]:port".
std::vector<KnownHost> find_known_hosts(std::string_view text, std::string_view host);

} // namespace sshtpm::ssh
