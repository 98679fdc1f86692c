// SPDX-License-Identifier: MIT
#pragma once
// The agent as a whole: loop, TPM, keys, socket, signals.

#include "agent/dispatcher.hpp"
#include "agent/listener.hpp"
#include "os/systemd.hpp"
#include "tpm/session.hpp"
#include "tpm/tpm.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sshtpm::agent {

struct ServerOptions {
    tpm::Target target;
    tpm::Auth owner_password;                ///< null: none was given
    std::filesystem::path key_dir;           ///< empty: load no keys
    protocol::Constraints key_dir_terms;     ///< for each key from the folder, or from a hierarchy
    std::optional<tpm::Hierarchy> hierarchy; ///< serve the keys of this hierarchy, which have no files
    KeyPolicy policy;
    std::vector<std::filesystem::path> upstreams;            ///< sockets of the upstream agents
    std::optional<PinLifetime> pin_lifetime = PinLifetime{}; ///< nothing: PINs are not kept
    /// True: the server throws if there is no TPM. False: it starts anyway, lists the keys of files, and
    /// waits for the TPM.
    bool needs_tpm = true;
    int prompter = -1; ///< a socket to the process that asks persons (prompt::serve_questions)
    bool sandbox = true;
    int until = -1;        ///< the agent ends when this descriptor is readable; -1 for none
    os::Notifier notifier; ///< gets the state of the agent: ready, number of keys, ending
};

/// Enters the sandbox (agent/confinement.hpp) for good, then serves until SIGTERM or SIGINT, then flushes
/// everything from the TPM and removes the socket. After SIGTERM it accepts no more clients, and serves those
/// that are connected for TimeLimits::finish; the queue of a passed socket is left to the next agent. SIGHUP
/// makes it read the key folder again, SIGUSR1 drops all keys and PINs.
/// @param socket is listening already, so that a second agent fails before it touches the TPM, and early
///     clients wait in the backlog
/// @param ready called when the server has started; clients of an agent of a hierarchy wait for the first
///     attempt to make its keys
/// @throws Error if it cannot start
/// @throws Error(refused) if systemd denies a TPM that appeared after the start; a restart allows it
void run_server(ListeningSocket& socket, ServerOptions options, const std::function<void()>& ready);

} // namespace sshtpm::agent
