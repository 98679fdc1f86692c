#pragma once
// What the service manager is told: ready, how many keys there are, alive, ending.

#include "agent/key_store.hpp"
#include "os/notify.hpp"

namespace sshtpm::agent {

/// For the loop's thread. The objects given to it must outlive it. From `ready` on it reports changes of the
/// keys.
class Announcer {
  public:
    Announcer(asio::any_io_executor loop, const os::Notifier& notifier, KeyStore& keys)
        : loop_(std::move(loop)), notifier_(notifier), keys_(keys) {}
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;
    ~Announcer() { keys_.on_change({}); }

    void ready();

    /// Feeds the watchdog from the loop, so that a loop that hangs starves it; twice in its time, as
    /// sd_watchdog_enabled(3) advises. Returns at once when there is none.
    asio::awaitable<void> feed_watchdog();

  private:
    void keys_changed();

    asio::any_io_executor loop_;
    const os::Notifier& notifier_;
    KeyStore& keys_;
    bool pending_ = false; ///< a status is about to be told: many changes at once are one
};

} // namespace sshtpm::agent
