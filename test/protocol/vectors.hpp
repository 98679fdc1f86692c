// SPDX-License-Identifier: MIT
#pragma once
// What real programs said to an agent, from test/data/protocol; its README.md says who said what.

#include "base/bytes.hpp"
#include "protocol/permission.hpp"

#include <string_view>

namespace vectors {

/// A message without its frame.
sshtpm::Bytes message(std::string_view name);
/// The blob of a key or a certificate.
sshtpm::Bytes key(std::string_view name);

sshtpm::protocol::SessionBind session_bind(std::string_view name);

/// The connection of a login that signs for its last host: "login-three-3" has three sessions. With a count,
/// the first of them alone.
sshtpm::protocol::BoundSessions sessions(std::string_view connection, std::size_t count = 16);
/// What is signed on it.
sshtpm::protocol::SignRequest signed_on(std::string_view connection);

} // namespace vectors
