// SPDX-License-Identifier: MIT
#pragma once
// The keys that the agent serves, with the PINs known for them.

#include "agent/key_entry.hpp"
#include "base/unique_fd.hpp"
#include "protocol/permission.hpp"

#include <chrono>
#include <functional>
#include <vector>

namespace sshtpm::agent {

/// How long a PIN is kept, including the time in which the machine is suspended.
struct PinLifetime {
    std::chrono::seconds idle = std::chrono::minutes(30); ///< since its last use
    std::chrono::seconds total = std::chrono::hours(8);   ///< since it was typed
};

/// The keys and their PINs. For the thread of the loop.
class KeyStore {
  public:
    /// @param pin_lifetime nothing: the store keeps no PINs
    explicit KeyStore(std::optional<PinLifetime> pin_lifetime = PinLifetime{});

    /// Finds an entry by the blob of its key or certificate. The blob of a key also finds an entry with a
    /// certificate of it. @returns null if there is none
    KeyEntryPtr find(ByteView blob) const;
    /// The entry with exactly this blob; null if there is none.
    KeyEntryPtr find_entry(ByteView blob) const;
    /// Any entry of this key; null if there is none.
    KeyEntryPtr find_key(const ssh::PublicKey& key) const;

    /// Removes the entries for which `goes` is true, and inserts `come` in their place. An entry with the
    /// same blob, file content and constraints is changed in place, so that requests with it go on. A PIN
    /// moves to a new entry with the same file content, unless that has looser constraints.
    /// @returns the removed entries
    std::vector<KeyEntryPtr> replace(const std::function<bool(const KeyEntry&)>& goes,
                                     std::vector<KeyEntry> come = {});
    /// Adds an entry, or replaces the entry with the same blob.
    void add(KeyEntry entry);
    /// Removes an entry, and forgets its PIN in all entries of the key.
    /// @returns the removed entry; null if there was none
    KeyEntryPtr remove(ByteView blob);
    void clear();
    /// Removes the entries and the PINs whose time is over.
    void expire(BootTime now = os::BootClock::now());
    /// A descriptor that is readable when `expire` has something to remove.
    int timer() const noexcept { return timer_.value(); }

    /// Makes a use of an entry for one request. @param entry null for a key of an upstream agent
    KeyUsePtr use(const asio::any_io_executor& loop, KeyEntryPtr entry, ByteView blob);
    void end_uses() {
        end_uses_where([](const KeyUse&) { return true; });
    }
    /// Ends the uses of an upstream agent's key; without a blob, the uses of all upstream agents' keys.
    void end_upstream_uses(ByteView blob = {});

    /// Finds the PIN for an entry: its own, or that of an entry of the same key and file content that is not
    /// stricter. Counts as a use of the PIN. @returns nothing if no PIN is known
    std::optional<tpm::Auth> use_pin(const KeyEntry& entry);
    /// Keeps a PIN that the TPM has accepted, unless its memory is not locked and could reach swap, which is
    /// logged once.
    /// @returns true if the PIN is kept
    bool keep_pin(KeyEntry& entry, const tpm::Auth& auth);
    /// Forgets the PIN in all entries of the same key file. Its memory is wiped when no signature uses it any
    /// more.
    void forget_pin(const KeyEntry& entry);
    void forget_all_pins();

    // Lists leave out certificates that have expired, because a server would refuse them; signing with them
    // and removing them works. A certificate whose time has not come is listed: the clock of the server
    // decides.

    /// The answer to SSH_AGENTC_REQUEST_IDENTITIES with every entry, framed; made anew when the keys change.
    /// Only while `is_listing_fixed`.
    std::shared_ptr<const Bytes> listing() const;
    /// The entries that may be seen on a connection.
    std::vector<KeyEntryPtr> visible(const protocol::BoundSessions& sessions) const;
    /// True if every entry is listed at every time on every connection.
    bool is_listing_fixed() const noexcept { return listing_fixed_; }

    const std::vector<KeyEntryPtr>& entries() const noexcept { return entries_; }
    /// `listener` is called after each change.
    void on_change(std::function<void()> listener) { listener_ = std::move(listener); }

  private:
    BootTime end_of(const KnownPin& pin) const;
    KeyEntryPtr place(KeyEntry entry, const std::vector<KeyEntryPtr>& old) const;
    void end_uses_where(const std::function<bool(const KeyUse&)>& over);
    void set_timer();
    void changed();

    std::optional<PinLifetime> pin_lifetime_;
    bool unlocked_memory_told_ = false;
    std::vector<KeyEntryPtr> entries_;
    bool listing_fixed_ = true;
    mutable std::shared_ptr<const Bytes> listing_; ///< null: not made since the last change
    std::vector<std::weak_ptr<KeyUse>> uses_;
    UniqueFd timer_;
    std::optional<BootTime> timer_set_;
    std::function<void()> listener_;
};

/// True for entries of the same key with the same TPM object, and so the same PIN.
bool same_key_file(const identity::Identity& one, const identity::Identity& other);

/// A list answer of these entries, framed.
Bytes listing_of(const std::vector<KeyEntryPtr>& entries);

} // namespace sshtpm::agent
