#pragma once
// The messages of the SSH agent protocol (RFC 9987, PROTOCOL.agent), in their numbers and as structs.

#include "base/bytes.hpp"

#include <variant>

namespace sshtpm::agent {

enum MessageNumber : std::uint8_t {
    SSH_AGENT_FAILURE = 5,
    SSH_AGENTC_REQUEST_IDENTITIES = 11,
    SSH_AGENT_IDENTITIES_ANSWER = 12,
    SSH_AGENTC_SIGN_REQUEST = 13,
    SSH_AGENT_SIGN_RESPONSE = 14,
};

struct RequestIdentities {};

struct SignRequest {
    Bytes key_blob; ///< of a key or of a certificate
    Bytes data;
    std::uint32_t flags = 0;
};

/// A message that this agent does not serve.
struct Unsupported {
    std::uint8_t number = 0;
};

using Request = std::variant<RequestIdentities, SignRequest, Unsupported>;

} // namespace sshtpm::agent
