#pragma once
// Does an agent sign with a host key of sshd?

#include "base/error.hpp"
#include "protocol/client.hpp"

#include <string>
#include <vector>

namespace sshtpm::applets {

/// Asks the agent for its list and for a signature of something random by this key.
/// @throws Error when the key is not in the list, and when the signature is another one's or none.
void prove_host_key(protocol::Client& agent, const std::vector<protocol::AgentKey>& served,
                    const std::string& path);

/// The same error, its message behind the path unless it begins so already; with this hint if it has none.
Error about_host_key(const std::string& path, const Error& error, const std::string& hint);

} // namespace sshtpm::applets
