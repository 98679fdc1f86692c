#pragma once
// SSH_AGENTC_LOCK and SSH_AGENTC_UNLOCK (RFC 9987 section 5.6): the password, kept as its hash alone.

#include "agent/asio.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <optional>

namespace sshtpm::agent {

class AgentLock {
  public:
    explicit AgentLock(PasswordHash::Cost cost = PasswordHash::Cost::interactive) : cost_(cost) {}

    bool locked() const noexcept { return locked_; }

    /// False when it is locked already, or the password is empty. The agent is locked from the call on,
    /// before the hash is made.
    asio::awaitable<bool> lock(Secret password);

    /// False for a wrong password.
    asio::awaitable<bool> unlock(Secret password);

  private:
    PasswordHash::Cost cost_;
    bool locked_ = false;
    std::optional<PasswordHash> hash_; ///< nothing while it is being made
    unsigned lockings_ = 0;            ///< tells one locking from the next, while passwords are hashed
    /// A hash takes tenths of a second, so not on the loop; made for the first one.
    std::optional<asio::thread_pool> hashing_;
};

} // namespace sshtpm::agent
