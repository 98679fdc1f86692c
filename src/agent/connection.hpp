// SPDX-License-Identifier: MIT
#pragma once
// Serves one connection: reads its frames, answers them in order, and limits their time.

#include "agent/dispatcher.hpp"
#include "agent/semaphore.hpp"

namespace sshtpm::agent {

/// Serves a client until it hangs up: one reply per request, in order. The next request is read only after
/// the reply is sent, so at most one reply waits for a client that does not read. A framing error ends only
/// this connection.
/// @param permit released when the client has gone
asio::awaitable<void> serve(Socket socket, os::Peer peer, Permit permit, Dispatcher& dispatcher);

} // namespace sshtpm::agent
