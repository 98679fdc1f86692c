// SPDX-License-Identifier: MIT
#include "agent/systemd.hpp"

namespace sshtpm::agent {

namespace {

/// "Serving 2 keys".
std::string status_of(const KeyStore& keys) {
    const auto count = keys.entries().size();
    return "Serving " + std::to_string(count) + (count == 1 ? " key" : " keys");
}

} // namespace

void Announcer::ready() {
    if (!notifier_)
        return;
    notifier_.ready(status_of(keys_));
    keys_.on_change([this] { keys_changed(); });
}

void Announcer::keys_changed() {
    if (std::exchange(pending_, true))
        return;
    asio::post(loop_, [this] {
        pending_ = false;
        notifier_.status(status_of(keys_));
    });
}

asio::awaitable<void> Announcer::feed_watchdog() {
    if (!notifier_.watchdog())
        co_return;
    const auto interval = std::max(*notifier_.watchdog() / 2, std::chrono::microseconds(1));
    for (asio::steady_timer timer(loop_);;) {
        notifier_.feed_watchdog();
        timer.expires_after(interval);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

} // namespace sshtpm::agent
