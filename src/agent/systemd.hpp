// SPDX-License-Identifier: MIT
#pragma once
// Reports the state of the agent to the service manager: ready, the number of keys, alive, ending.

#include "agent/key_store.hpp"
#include "os/systemd.hpp"

namespace sshtpm::agent {

/// For the thread of the loop. The objects passed to it must outlive it. After `ready` it reports changes of
/// the keys and of the TPM.
class Announcer {
  public:
    Announcer(asio::any_io_executor loop, const os::Notifier& notifier, KeyStore& keys)
        : loop_(std::move(loop)), notifier_(notifier), keys_(keys) {}
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;
    ~Announcer() { keys_.on_change({}); }

    void ready();

    /// @param error why the TPM cannot be used; empty if it can
    void set_tpm_error(std::string error);

    /// Feeds the watchdog from the loop, so that a loop that hangs does not feed it. Does so twice per
    /// interval, as sd_watchdog_enabled(3) advises. Returns at once without a watchdog.
    asio::awaitable<void> feed_watchdog();

  private:
    void status_changed();
    std::string status() const;

    asio::any_io_executor loop_;
    const os::Notifier& notifier_;
    KeyStore& keys_;
    std::string tpm_error_;
    bool pending_ = false; ///< a status will be reported soon, one for all changes until then
};

} // namespace sshtpm::agent
