#pragma once
// All that the agent keeps between requests: keys, PINs, the lock. It lives on the loop's thread alone.

#include "agent/agent_lock.hpp"
#include "agent/alarm.hpp"
#include "agent/key_folder.hpp"
#include "agent/key_store.hpp"
#include "agent/pin_cache.hpp"

namespace sshtpm::agent {

class State {
  public:
    /// @param folder nothing: keys come from clients alone.
    State(const boost::asio::any_io_executor& loop, std::optional<KeyFolder> folder,
          std::optional<PinLifetime> pin_lifetime,
          PasswordHash::Cost lock_cost = PasswordHash::Cost::interactive);

    KeyStore keys;
    PinCache pins;
    AgentLock lock;

    /// The line as its file has it now; null when that has made it go. Where the file has changed, the PIN
    /// known for the key is forgotten: a wrong one costs a try.
    HeldKeyPtr current(const HeldKeyPtr& line);

    /// True for a key of the key folder where each use of those is confirmed, whoever adds it.
    bool confirms(const ssh::PublicKey& key) const {
        return folder_ && folder_->terms().confirm && keys.has_file(key);
    }

    /// With the PIN, where one is known.
    void remove(ByteView blob);
    void remove_all();

    /// Reads what has changed in the key folder.
    void scan_folder();
    /// Reads all of it again, with what was removed; keys without a file that were removed come back too.
    void reload_folder();

    /// Keys that are there from the start and have no file.
    /// @param keys on these terms; their lifetime runs from when they are put into the store.
    void keep(std::vector<HeldKey> keys);

    /// To be called when a key or a PIN may have come: they are dropped when they have lived their time.
    void watch_deadlines() { alarm_.at_latest(next_deadline()); }

  private:
    void expire();
    void put_kept();
    std::optional<os::BootClock::time_point> next_deadline() const;

    std::optional<KeyFolder> folder_;
    std::vector<HeldKey> kept_;
    Alarm alarm_;
};

} // namespace sshtpm::agent
