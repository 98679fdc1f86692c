#include "agent/pin_cache.hpp"

#include "base/log.hpp"

#include <algorithm>

namespace sshtpm::agent {

namespace {

std::string name(const ssh::PublicKey& key) {
    return std::string(text_of(key.blob()));
}

} // namespace

bool PinCache::knows(const ssh::PublicKey& key) const {
    return pins_.contains(name(key));
}

std::optional<tpm::Auth> PinCache::use(const ssh::PublicKey& key) {
    const auto found = pins_.find(name(key));
    if (found == pins_.end())
        return std::nullopt;
    found->second.used = os::BootClock::now();
    return found->second.auth;
}

bool PinCache::remember(const ssh::PublicKey& key, const tpm::Auth& auth,
                        std::optional<os::BootClock::time_point> end) {
    if (!lifetime_)
        return false;
    if (auth && !auth->locked()) {
        if (!unlocked_memory_told_)
            log::error(
                "PINs are not kept: their memory cannot be locked, and could reach swap (raise the limit "
                "on locked memory: ulimit -l, LimitMEMLOCK=)");
        unlocked_memory_told_ = true;
        return false;
    }
    const auto now = os::BootClock::now();
    pins_.insert_or_assign(name(key), Pin{.auth = auth, .typed = now, .used = now, .end = end});
    return true;
}

void PinCache::forget(const ssh::PublicKey& key) {
    pins_.erase(name(key));
}

void PinCache::expire(os::BootClock::time_point now) {
    std::erase_if(pins_, [&](const auto& entry) {
        const bool over = end_of(entry.second) <= now;
        if (over)
            log::debug("a PIN has reached the end of its time");
        return over;
    });
}

std::optional<os::BootClock::time_point> PinCache::next_expiry() const {
    std::optional<os::BootClock::time_point> next;
    for (const auto& [key, pin] : pins_)
        next = next ? std::min(*next, end_of(pin)) : end_of(pin);
    return next;
}

os::BootClock::time_point PinCache::end_of(const Pin& pin) const {
    const auto end = std::min(pin.used + lifetime_->idle, pin.typed + lifetime_->total);
    return pin.end ? std::min(end, *pin.end) : end;
}

} // namespace sshtpm::agent
