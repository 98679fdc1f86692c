#include "agent/state.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"

#include <algorithm>

namespace sshtpm::agent {

State::State(const boost::asio::any_io_executor& loop, std::optional<KeyFolder> folder,
             std::optional<PinLifetime> pin_lifetime, PasswordHash::Cost lock_cost)
    : pins(pin_lifetime), lock(lock_cost), folder_(std::move(folder)), alarm_(loop, [this] {
          expire();
          return next_deadline();
      }) {
    lock.on_lock([this] {
        keys.end_uses();
        pins.clear();
    });
}

HeldKeyPtr State::current(const HeldKeyPtr& line) {
    if (!folder_ || !folder_->refresh(keys, *line))
        return line;
    pins.forget(line->identity->public_key);
    return keys.find(line->blob());
}

void State::remove(ByteView blob) {
    if (const auto line = keys.remove(blob))
        pins.forget(line->identity->public_key);
}

void State::remove_all() {
    keys.clear();
    pins.clear();
}

void State::scan_folder() {
    if (!folder_)
        return;
    for (const auto& key : folder_->scan(keys))
        pins.forget(key);
    watch_deadlines();
}

void State::reload_folder() {
    if (folder_)
        folder_->read_all_again();
    keys.let_back();
    scan_folder();
    put_kept();
}

void State::keep(std::vector<HeldKey> keys_without_file) {
    kept_ = std::move(keys_without_file);
    put_kept();
}

void State::put_kept() {
    for (auto key : kept_) {
        if (keys.find_line(key.blob()))
            continue;
        if (key.constraints.lifetime)
            key.dies = os::BootClock::now() + std::chrono::seconds(*key.constraints.lifetime);
        keys.add(std::move(key));
    }
    watch_deadlines();
}

void State::expire() {
    const auto now = os::BootClock::now();
    for (const auto& line : keys.expire(now)) {
        log::info("key '", printable(line->identity->comment), "' has reached the end of its lifetime");
        pins.forget(line->identity->public_key);
    }
    pins.expire(now);
}

std::optional<os::BootClock::time_point> State::next_deadline() const {
    const auto death = keys.next_death(), expiry = pins.next_expiry();
    if (death && expiry)
        return std::min(*death, *expiry);
    return death ? death : expiry;
}

} // namespace sshtpm::agent
