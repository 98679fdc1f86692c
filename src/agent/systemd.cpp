// SPDX-License-Identifier: MIT
#include "agent/systemd.hpp"

namespace sshtpm::agent {

/// "Serving 2 keys", or "Serving 2 keys; error: no TPM at /dev/tpmrm0".
std::string Announcer::status() const {
    const auto count = keys_.entries().size();
    auto text = "Serving " + std::to_string(count) + (count == 1 ? " key" : " keys");
    return tpm_error_.empty() ? text : text.append("; error: ").append(tpm_error_);
}

void Announcer::ready() {
    if (!notifier_)
        return;
    notifier_.ready(status());
    keys_.on_change([this] { status_changed(); });
}

void Announcer::set_tpm_error(std::string error) {
    if (error == std::exchange(tpm_error_, error))
        return;
    status_changed();
}

void Announcer::status_changed() {
    if (std::exchange(pending_, true))
        return;
    asio::post(loop_, [this] {
        pending_ = false;
        notifier_.status(status());
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
