// SPDX-License-Identifier: MIT
#pragma once
// The agent's sandbox, and the companions that do for it what the sandbox forbids.

#include "agent/listener.hpp"
#include "os/opener.hpp"
#include "tpm/tpm.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sshtpm::agent {

/// Starts the companions and enters the sandbox. The sandbox stays; the companions end with this object,
/// which removes the socket's file before, because the opener alone may do that.
class Confinement {
  public:
    /// Call it while this process has one thread.
    /// @param target gets the starter of its emulator
    /// @param key_dir may be empty
    /// @param upstreams the sockets of the upstream agents
    /// @param sandbox false: only new privileges are given up
    /// @throws Error(io)
    Confinement(tpm::Target& target, const std::filesystem::path& key_dir,
                const std::vector<std::filesystem::path>& upstreams, ListeningSocket& socket, bool sandbox);
    Confinement(Confinement&&) = delete;
    ~Confinement() { socket_.remove(); }

    /// For people: "seccomp, Landlock 7", "seccomp" or "none".
    const std::string& in_force() const noexcept { return in_force_; }

  private:
    ListeningSocket& socket_;
    std::unique_ptr<os::FileOpener> opener_; ///< null without a sandbox
    std::string in_force_ = "none";
};

} // namespace sshtpm::agent
