#pragma once
// What the service manager is told of the agent: ready, how many keys there are, alive, ending.

#include "agent/key_store.hpp"
#include "os/notify.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace sshtpm::agent {

/// On the loop's thread alone, and there for as long as the loop runs.
class Announcer {
  public:
    Announcer(boost::asio::any_io_executor loop, const os::Notifier& notifier, KeyStore& keys);

    /// From here on, changes of the keys are told too.
    void ready();
    void stopping() const noexcept { notifier_.stopping(); }

    /// Feeds the watchdog from the loop, so that a loop that hangs starves it; twice in its time, as
    /// sd_watchdog_enabled(3) advises. Ends at once when there is none.
    boost::asio::awaitable<void> feed_watchdog();

  private:
    void keys_changed();

    boost::asio::any_io_executor loop_;
    const os::Notifier& notifier_;
    KeyStore& keys_;
    bool pending_ = false; ///< a status is about to be told: many changes at once are one
};

/// "Serving 2 keys".
std::string status_of(const KeyStore& keys);

} // namespace sshtpm::agent
