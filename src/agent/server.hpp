#pragma once
// The agent as a whole: loop, TPM, keys, socket, signals.

#include "agent/dispatcher.hpp"
#include "agent/listener.hpp"
#include "os/notify.hpp"
#include "tpm/session.hpp"
#include "tpm/tpm.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace sshtpm::agent {

struct ServerOptions {
    tpm::Target target;
    tpm::Auth owner_password;                ///< null when none is given
    std::filesystem::path key_dir;           ///< empty: load no keys
    protocol::Constraints key_dir_terms;     ///< of each key from there, or from a hierarchy
    std::optional<tpm::Hierarchy> hierarchy; ///< whose keys to serve, without files
    KeyPolicy policy;
    std::vector<std::filesystem::path> upstreams;            ///< sockets of the upstream agents
    std::optional<PinLifetime> pin_lifetime = PinLifetime{}; ///< nothing: keep no PIN
    int until = -1;        ///< a descriptor whose becoming readable ends the agent; -1 for none
    os::Notifier notifier; ///< told when clients are served, how many keys there are, and of the end
};

/// Serves until SIGTERM or SIGINT, then gives everything in the TPM back and removes the socket. SIGHUP reads
/// the key folder again, SIGUSR1 drops all keys and PINs.
/// @param socket listens already: it tells a second agent off before that touches the TPM, and clients that
///     connect from then on wait in its backlog.
/// @param ready called when clients are served.
/// @throws Error when it cannot start.
void run_server(ListeningSocket& socket, const ServerOptions& options, const std::function<void()>& ready);

} // namespace sshtpm::agent
