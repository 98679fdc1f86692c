#include "agent/announcer.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

std::string status_of(const KeyStore& keys) {
    const auto count = keys.size();
    return "Serving " + std::to_string(count) + (count == 1 ? " key" : " keys");
}

Announcer::Announcer(asio::any_io_executor loop, const os::Notifier& notifier, KeyStore& keys)
    : loop_(std::move(loop)), notifier_(notifier), keys_(keys) {}

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
    asio::steady_timer timer(loop_);
    for (;;) {
        notifier_.feed_watchdog();
        timer.expires_after(interval);
        boost::system::error_code failure;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, failure));
        if (failure)
            co_return;
    }
}

} // namespace sshtpm::agent
