#include "agent/pin_cache.hpp"

#include "base/log.hpp"

namespace sshtpm::agent {

namespace {

std::string name(const ssh::PublicKey& key) {
    return std::string(text_of(key.blob()));
}

} // namespace

std::optional<tpm::Auth> PinCache::find(const ssh::PublicKey& key) const {
    const auto found = pins_.find(name(key));
    return found == pins_.end() ? std::nullopt : std::optional(found->second);
}

void PinCache::remember(const ssh::PublicKey& key, const tpm::Auth& auth) {
    if (auth && !auth->locked()) {
        log::error("a PIN was not kept: its memory cannot be locked (raise the limit: ulimit -l)");
        return;
    }
    pins_.insert_or_assign(name(key), auth);
}

void PinCache::forget(const ssh::PublicKey& key) {
    pins_.erase(name(key));
}

} // namespace sshtpm::agent
