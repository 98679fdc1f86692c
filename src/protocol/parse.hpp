#pragma once
// From the bytes of a message to a request.

#include "protocol/message.hpp"

namespace sshtpm::protocol {

inline constexpr std::size_t max_lock_password = 4096;
inline constexpr std::size_t max_pin = 1024;
inline constexpr std::size_t max_key_file = 64 * 1024;
inline constexpr std::size_t max_extension_name = 200;

/// @param message not empty. Bytes after the body are ignored where OpenSSH's agent ignores them: numbers 9,
///     11, 13, 18, 19, and of 27 `query`, `session-bind@openssh.com` and what is unknown.
/// @throws Error(malformed) for a body that does not parse, Error(unsupported) for a key or a constraint that
///     parses and cannot be honoured.
Request parse_request(ByteView message);

} // namespace sshtpm::protocol
