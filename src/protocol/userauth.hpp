#pragma once
// The one thing that a key with a destination constraint signs: a request for user authentication
// (RFC 4252 section 7, OpenSSH PROTOCOL, "publickey-hostbound-v00@openssh.com").

#include "base/bytes.hpp"

#include <optional>
#include <string>

namespace sshtpm::protocol {

struct UserAuthRequest {
    Bytes session_id;
    std::string user;
    std::string algorithm;
    Bytes key_blob;
    std::optional<Bytes> host_key; ///< of "publickey-hostbound-v00@openssh.com"
};

/// Nothing when the data is anything else, or has a byte more.
std::optional<UserAuthRequest> parse_userauth(ByteView data);

} // namespace sshtpm::protocol
