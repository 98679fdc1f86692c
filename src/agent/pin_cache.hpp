#pragma once
// PINs that the TPM has taken, in guarded memory, for a time.

#include "os/boottime.hpp"
#include "ssh/public_key.hpp"
#include "tpm/session.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

namespace sshtpm::agent {

/// How long a PIN is kept. Time in which the machine is suspended counts.
struct PinLifetime {
    std::chrono::seconds idle = std::chrono::minutes(30); ///< since its last use
    std::chrono::seconds total = std::chrono::hours(8);   ///< since it was typed
};

class PinCache {
  public:
    /// @param lifetime nothing: no PIN is kept.
    explicit PinCache(std::optional<PinLifetime> lifetime) : lifetime_(lifetime) {}

    bool knows(const ssh::PublicKey& key) const;
    /// Nothing when the key's PIN is not known; null when it is known to be empty. Counts as a use.
    std::optional<tpm::Auth> use(const ssh::PublicKey& key);
    /// A PIN whose memory the system would not lock is not kept: it could reach swap; the log says so
    /// once.
    /// @param end of the key that it was given for: the PIN goes then, also when the key was added again for
    ///     longer.
    /// @returns whether it is kept.
    bool remember(const ssh::PublicKey& key, const tpm::Auth& auth,
                  std::optional<os::BootClock::time_point> end = {});
    /// Wiped when the last signature that uses it is done.
    void forget(const ssh::PublicKey& key);
    void clear() { pins_.clear(); }

    void expire(os::BootClock::time_point now);
    /// When the next PIN is to go.
    std::optional<os::BootClock::time_point> next_expiry() const;

  private:
    struct Pin {
        tpm::Auth auth;
        os::BootClock::time_point typed, used;
        std::optional<os::BootClock::time_point> end;
    };

    os::BootClock::time_point end_of(const Pin& pin) const;

    std::optional<PinLifetime> lifetime_;
    bool unlocked_memory_told_ = false;         ///< once is enough
    std::unordered_map<std::string, Pin> pins_; ///< by key blob
};

} // namespace sshtpm::agent
