#pragma once
// One connection: its frames come in, are answered in turn, and time out.

#include "agent/dispatcher.hpp"
#include "agent/semaphore.hpp"

namespace sshtpm::agent {

/// Serves a client until it goes: one reply per request, in order. The next request is read only after the
/// reply is sent, so at most one reply waits for a client that does not read. A framing error ends this
/// connection alone.
/// @param permit released when the client has gone.
asio::awaitable<void> serve(Socket socket, os::Peer peer, Permit permit, Dispatcher& dispatcher);

} // namespace sshtpm::agent
