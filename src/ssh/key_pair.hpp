#pragma once
// A private key as SSH_AGENTC_ADD_IDENTITY carries it (RFC 9987 section 5.2): with its public half or with a
// certificate of that.

#include "ssh/certificate.hpp"
#include "ssh/private_key.hpp"

#include <optional>

namespace sshtpm::wire {
class Reader;
}

namespace sshtpm::ssh {

struct KeyPair {
    PrivateKey key;
    std::optional<Certificate> certificate;
};

/// Takes the type's name, the fields and the comment, and checks that private and public half belong
/// together. Only for the types that this agent can hold (key_type_named, key_type_of_certificate).
/// @throws Error(malformed | unsupported)
KeyPair read_key_pair(wire::Reader& reader);

} // namespace sshtpm::ssh
