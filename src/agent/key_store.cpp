// SPDX-License-Identifier: MIT
#include "agent/key_store.hpp"

#include "base/log.hpp"
#include "base/printable.hpp"
#include "protocol/permission.hpp"
#include "protocol/reply.hpp"
#include "tpm/context.hpp"

#include <algorithm>
#include <iterator>

namespace sshtpm::agent {

namespace {

KeyEntryPtr found_or_null(const std::vector<KeyEntryPtr>& entries, const auto& matches) {
    const auto found = std::ranges::find_if(entries, matches);
    return found == entries.end() ? nullptr : *found;
}

bool contains(const std::vector<KeyEntryPtr>& entries, const KeyEntryPtr& entry) {
    return std::ranges::find(entries, entry) != entries.end();
}

/// True if the PIN of `holder` may be used for `entry`.
bool may_share_pin(const KeyEntry& entry, const KeyEntry& holder) {
    return holder.pin && same_key_file(*entry.identity, *holder.identity) &&
           !protocol::loosens(entry.constraints, holder.constraints);
}

} // namespace

bool same_key_file(const identity::Identity& one, const identity::Identity& other) {
    return one.public_key == other.public_key &&
           equal(tpm::view_of(one.key->private_area), tpm::view_of(other.key->private_area));
}

KeyStore::KeyStore(std::optional<PinLifetime> pin_lifetime)
    : pin_lifetime_(pin_lifetime), timer_(os::boottime_timer()) {}

KeyEntryPtr KeyStore::find(ByteView blob) const {
    if (auto entry = find_entry(blob))
        return entry;
    return found_or_null(entries_,
                         [&](const auto& entry) { return equal(entry->identity->public_key.blob(), blob); });
}

KeyEntryPtr KeyStore::find_entry(ByteView blob) const {
    return found_or_null(entries_, [&](const auto& entry) { return equal(entry->blob(), blob); });
}

KeyEntryPtr KeyStore::find_key(const ssh::PublicKey& key) const {
    return found_or_null(entries_, [&](const auto& entry) { return entry->identity->public_key == key; });
}

/// @returns the entry that replaces the old ones
KeyEntryPtr KeyStore::place(KeyEntry entry, const std::vector<KeyEntryPtr>& old) const {
    for (const auto& other : old)
        if (!entry.pin && may_share_pin(entry, *other))
            entry.pin = other->pin;
    const auto same = found_or_null(old, [&](const auto& other) {
        return equal(other->blob(), entry.blob()) && same_key_file(*other->identity, *entry.identity) &&
               other->constraints == entry.constraints;
    });
    if (!same)
        return std::make_shared<KeyEntry>(std::move(entry));
    *same = std::move(entry);
    return same;
}

std::vector<KeyEntryPtr> KeyStore::replace(const std::function<bool(const KeyEntry&)>& goes,
                                           std::vector<KeyEntry> come) {
    const auto matches = [&](const auto& entry) { return goes(*entry); };
    const auto first = std::ranges::find_if(entries_, matches) - entries_.begin();
    std::vector<KeyEntryPtr> gone, placed;
    std::ranges::copy_if(entries_, std::back_inserter(gone), matches);
    std::erase_if(entries_, matches);
    for (auto& entry : come)
        placed.push_back(place(std::move(entry), gone));
    entries_.insert(entries_.begin() + first, placed.begin(), placed.end());
    std::erase_if(gone, [&](const auto& entry) { return contains(placed, entry); });
    changed();
    return gone;
}

void KeyStore::add(KeyEntry entry) {
    std::vector<KeyEntry> come;
    come.push_back(std::move(entry));
    const auto blob = copy_of(come.front().blob());
    replace([&](const KeyEntry& other) { return equal(other.blob(), blob); }, std::move(come));
}

KeyEntryPtr KeyStore::remove(ByteView blob) {
    const auto gone = replace([&](const KeyEntry& entry) { return equal(entry.blob(), blob); });
    if (gone.empty())
        return nullptr;
    forget_pin(*gone.front());
    return gone.front();
}

void KeyStore::clear() {
    entries_.clear();
    changed();
    end_uses(); // also of the upstream agents' keys
}

void KeyStore::expire(BootTime now) {
    os::disarm_boottime_timer(timer()); // an expired timer would stay readable
    timer_set_.reset();
    for (const auto& entry : entries_) {
        if (!entry->pin || end_of(*entry->pin) > now)
            continue;
        entry->pin.reset();
        log::debug("a PIN has reached the end of its time");
    }
    const auto is_over = [&](const KeyEntry& entry) { return entry.dies && *entry.dies <= now; };
    for (const auto& entry : replace(is_over)) {
        forget_pin(*entry);
        log::info("key '", printable(entry->identity->comment), "' has reached the end of its lifetime");
    }
}

KeyUsePtr KeyStore::use(const asio::any_io_executor& loop, KeyEntryPtr entry, ByteView blob) {
    auto use = std::make_shared<KeyUse>(loop, std::move(entry), copy_of(blob));
    std::erase_if(uses_, [](const auto& other) { return other.expired(); });
    uses_.push_back(use);
    return use;
}

void KeyStore::end_uses_where(const std::function<bool(const KeyUse&)>& over) {
    for (const auto& weak : uses_)
        if (const auto use = weak.lock(); use && over(*use))
            use->end();
}

void KeyStore::end_upstream_uses(ByteView blob) {
    end_uses_where(
        [&](const KeyUse& use) { return !use.entry() && (blob.empty() || equal(use.blob(), blob)); });
}

BootTime KeyStore::end_of(const KnownPin& pin) const {
    const auto end = std::min(pin.used + pin_lifetime_->idle, pin.typed + pin_lifetime_->total);
    return pin.end ? std::min(end, *pin.end) : end;
}

std::optional<tpm::Auth> KeyStore::use_pin(const KeyEntry& entry) {
    const auto now = os::BootClock::now();
    const auto holder = found_or_null(entries_, [&](const auto& other) {
        return may_share_pin(entry, *other) && end_of(*other->pin) > now;
    });
    if (!holder)
        return std::nullopt;
    holder->pin->used = now;
    return holder->pin->auth;
}

bool KeyStore::keep_pin(KeyEntry& entry, const tpm::Auth& auth) {
    if (!pin_lifetime_)
        return false;
    if (!auth->locked()) {
        if (!std::exchange(unlocked_memory_told_, true))
            log::error(
                "PINs are not kept: their memory cannot be locked, and could reach swap (raise the limit "
                "on locked memory: ulimit -l, LimitMEMLOCK=)");
        return false;
    }
    const auto now = os::BootClock::now();
    entry.pin = KnownPin{.auth = auth, .typed = now, .used = now, .end = entry.dies};
    set_timer();
    return true;
}

void KeyStore::forget_pin(const KeyEntry& entry) {
    for (const auto& other : entries_)
        if (same_key_file(*other->identity, *entry.identity))
            other->pin.reset();
}

void KeyStore::forget_all_pins() {
    for (const auto& entry : entries_)
        entry->pin.reset();
}

std::shared_ptr<const Bytes> KeyStore::listing() const {
    if (!listing_)
        listing_ = std::make_shared<const Bytes>(listing_of(visible({})));
    return listing_;
}

std::vector<KeyEntryPtr> KeyStore::visible(const protocol::BoundSessions& sessions) const {
    std::vector<KeyEntryPtr> out;
    const auto now = std::chrono::system_clock::now();
    std::ranges::copy_if(entries_, std::back_inserter(out), [&](const auto& entry) {
        return protocol::may_see(entry->constraints, sessions, now) &&
               !(entry->certificate && entry->certificate->has_expired(now));
    });
    return out;
}

/// Sets the timer to the next end of an entry or a PIN. If that PIN is used meanwhile, it ends later;
/// `expire` then finds nothing, and sets the timer again.
void KeyStore::set_timer() {
    std::optional<BootTime> next;
    const auto note = [&](BootTime end) { next = next ? std::min(*next, end) : end; };
    for (const auto& entry : entries_) {
        if (entry->dies)
            note(*entry->dies);
        if (entry->pin)
            note(end_of(*entry->pin));
    }
    if (!next || (timer_set_ && *timer_set_ <= *next))
        return;
    timer_set_ = next;
    os::set_boottime_timer(timer(), *next);
}

void KeyStore::changed() {
    listing_fixed_ = std::ranges::none_of(entries_, [](const auto& entry) {
        return !entry->constraints.destinations.empty() ||
               (entry->certificate && entry->certificate->valid_before != ssh::Certificate::forever);
    });
    listing_.reset();
    end_uses_where([this](const KeyUse& use) { return use.entry() && !contains(entries_, use.entry()); });
    set_timer();
    if (listener_)
        listener_();
}

Bytes listing_of(const std::vector<KeyEntryPtr>& entries) {
    std::vector<protocol::ListedKey> listed;
    listed.reserve(entries.size());
    for (const auto& entry : entries)
        listed.push_back({entry->blob(), entry->identity->comment});
    return protocol::identities_reply(std::move(listed));
}

} // namespace sshtpm::agent
