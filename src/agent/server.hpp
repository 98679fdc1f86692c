#pragma once
// The agent as a whole: loop, lane, keys, socket, signals.

#include "tpm/session.hpp"
#include "tpm/target.hpp"

#include <filesystem>
#include <functional>

namespace sshtpm::agent {

struct ServerOptions {
    tpm::Target target;
    tpm::Auth owner_password; ///< null when none is given
    std::filesystem::path socket;
    std::filesystem::path key_dir; ///< empty: load no keys
};

/// Serves until SIGTERM or SIGINT, then gives everything in the TPM back and removes the socket.
/// @param listening called when clients can connect.
/// @throws Error when it cannot start.
void run_server(const ServerOptions& options, const std::function<void()>& listening);

} // namespace sshtpm::agent
