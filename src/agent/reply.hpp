#pragma once
// Replies, with their frame.

#include "identity/identity.hpp"

#include <memory>
#include <span>

namespace sshtpm::agent {

Bytes failure_reply();

/// SSH_AGENT_IDENTITIES_ANSWER: each key and, behind it, its certificate. Keys that would make it longer
/// than max_message, or more than 2048, are left out.
Bytes identities_reply(std::span<const std::shared_ptr<const identity::Identity>> identities);

/// SSH_AGENT_SIGN_RESPONSE with a signature blob.
Bytes sign_reply(ByteView signature);

} // namespace sshtpm::agent
