// SPDX-License-Identifier: MIT
#pragma once
// The known_hosts files of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

#include "base/bytes.hpp"

#include <string_view>
#include <vector>

namespace sshtpm::ssh {

struct KnownHost {
    Bytes key_blob;
    bool is_ca = false; ///< @cert-authority: the key signs certificates of hosts

    friend bool operator==(const KnownHost&, const KnownHost&) = default;
};

/// The keys of the lines that name the host, in the order of the file. As in OpenSSH, broken lines and lines
/// with @revoked are skipped, hashed names are case-sensitive, and a key is returned even if another line
/// revokes it.
/// @param text the file's content
/// @param host a name or an address; "[host]:port" for other ports than 22
std::vector<KnownHost> find_known_hosts(std::string_view text, std::string_view host);

} // namespace sshtpm::ssh
