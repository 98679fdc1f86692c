#pragma once
// One connection: its frames come in, are answered in turn, and time out.

#include "agent/dispatcher.hpp"
#include "agent/turns.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace sshtpm::agent {

/// Serves a client until it goes: one reply per request, in order. While a reply is unsent nothing is read,
/// so what waits for a client that does not read is one reply. A framing error ends this connection alone.
/// @param turn given back when the client has gone.
boost::asio::awaitable<void> serve(boost::asio::local::stream_protocol::socket socket, os::Peer peer,
                                   Turn turn, std::shared_ptr<Dispatcher> dispatcher);

} // namespace sshtpm::agent
