// SPDX-License-Identifier: MIT
#pragma once
// SSH_AGENTC_LOCK and SSH_AGENTC_UNLOCK (RFC 9987 section 5.6). Only a hash of the password is kept.

#include "agent/asio.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <optional>

namespace sshtpm::agent {

class AgentLock {
  public:
    explicit AgentLock(PasswordHash::Cost cost = PasswordHash::Cost::interactive) : cost_(cost) {}

    bool locked() const noexcept { return locked_; }

    /// @returns false if it is locked already, or the password is empty. The agent is locked from the call
    ///     on, before the hash is made.
    asio::awaitable<bool> lock(Secret password);

    /// @returns false for a wrong password
    asio::awaitable<bool> unlock(Secret password);

  private:
    PasswordHash::Cost cost_;
    bool locked_ = false;
    std::optional<PasswordHash> hash_; ///< nothing while it is being made
    unsigned lockings_ = 0; ///< a count, to notice that the agent was locked again while a password is hashed
    /// Hashes passwords off the loop, because one takes tenths of a second. Made for the first password.
    std::optional<asio::thread_pool> hashing_;
};

} // namespace sshtpm::agent
