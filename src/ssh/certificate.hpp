#pragma once
// An OpenSSH certificate (PROTOCOL.certkeys), of the key types this agent can hold.

#include "ssh/public_key.hpp"

#include <string>
#include <vector>

namespace sshtpm::ssh {

struct Certificate {
    enum class Role : std::uint32_t { user = 1, host = 2 };

    Bytes blob;           ///< the whole certificate, as it came
    PublicKey public_key; ///< the key that it certifies
    std::uint64_t serial = 0;
    Role role = Role::user;
    std::string key_id;
    std::vector<std::string> principals;
    std::uint64_t valid_after = 0;  ///< seconds since 1970
    std::uint64_t valid_before = 0; ///< exclusive; 2^64-1 is for ever
    Bytes signature_key;            ///< blob of the CA's key

    /// Parses the whole blob. The CA's signature is not checked: the server that trusts the CA does that.
    /// @throws Error(malformed | unsupported)
    static Certificate from_blob(ByteView blob);
};

} // namespace sshtpm::ssh
