#pragma once
// The keys of a TPM's hierarchy in the agent.

#include "agent/server.hpp"
#include "agent/state.hpp"
#include "agent/tpm_lane.hpp"

#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

/// Has the TPM make the keys of the hierarchy that the options name, and puts them into the state; nothing
/// without one. A chip may take a minute for it. Nothing stays in the TPM.
/// @throws Error as identity::hierarchy_identities does.
boost::asio::awaitable<void> keep_hierarchy_keys(TpmLane& lane, const ServerOptions& options, State& state);

} // namespace sshtpm::agent
