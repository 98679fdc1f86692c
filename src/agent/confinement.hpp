// SPDX-License-Identifier: MIT
#pragma once
// The agent's sandbox, and the companions that do for it what the sandbox forbids.

#include "agent/server.hpp"
#include "os/opener.hpp"

#include <memory>
#include <string>

namespace sshtpm::agent {

/// Starts the companions and enters the sandbox. The sandbox stays; the companions end with this object.
class Confinement {
  public:
    /// Call it while this process has one thread.
    /// @param options gets what the server needs to use the companions
    /// @throws Error(io)
    Confinement(ServerOptions& options, const ListeningSocket& socket);
    Confinement(Confinement&&) = delete;
    ~Confinement();

  private:
    std::unique_ptr<os::FileOpener> opener_; ///< null without a sandbox
};

} // namespace sshtpm::agent
