#pragma once
// From the bytes of a message to a request.

#include "agent/message.hpp"

namespace sshtpm::agent {

/// @param message not empty. Bytes after the body of a known message are ignored, as OpenSSH's agent does.
/// @throws Error(malformed) for a body that does not parse.
Request parse_request(ByteView message);

} // namespace sshtpm::agent
