#pragma once
// The keys that the agent holds, each with what it may be used for.

#include "agent/former_terms.hpp"
#include "agent/key_use.hpp"
#include "protocol/bound_sessions.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <unordered_set>
#include <vector>

namespace sshtpm::agent {

class KeyStore {
  public:
    /// By the blob of a key or of a certificate; the bare key of a certificate finds that too. Null when
    /// there is none.
    HeldKeyPtr find(ByteView blob) const;
    /// The line with exactly this blob; null when there is none.
    HeldKeyPtr find_line(ByteView blob) const;
    /// Of the bare key, whichever line has it; null when there is none.
    HeldKeyPtr find_public_key(const ssh::PublicKey& key) const;

    /// A use of a line for one request; it ends with the line, or when the line gets other terms.
    /// @param line null for a key of an upstream agent.
    /// @param blob as the request names the key.
    KeyUsePtr use(const boost::asio::any_io_executor& loop, HeldKeyPtr line, ByteView blob);
    /// Ends all uses.
    void end_uses() {
        end_uses_where([](const KeyUse&) { return true; });
    }
    /// Ends those of a key of an upstream agent; of all their keys without a blob.
    void end_upstream_uses(ByteView blob = {});

    /// True for a line that may be used where another line of the same key may not.
    bool would_loosen(const HeldKey& line) const;
    /// The reverse.
    bool has_looser(const HeldKey& line) const;

    /// Adds a line, or puts it in the place of the one with the same blob. The certificates that the key
    /// folder gives of a client's key are held on the terms of the key.
    void add(HeldKey key);
    /// @returns the line that is gone; null when there was none.
    HeldKeyPtr remove(ByteView blob);
    void clear();
    /// Removes what has died. @returns the lines that are gone.
    std::vector<HeldKeyPtr> expire(os::BootClock::time_point now);
    /// When the next line dies.
    std::optional<os::BootClock::time_point> next_death() const;

    /// A file of the key folder is new or has changed. Lines that the file gave before are replaced; of a key
    /// that a client has added, constraints and death stay and what the TPM loads is replaced, and the
    /// certificate that the file had by the one that it has, on the same terms. What a client has added and
    /// is gone since stays away.
    /// @param terms the constraints and the death of new lines.
    void put_file(const IdentityPtr& identity, const HeldKey& terms);
    /// What a client has added and is gone since may come with its file again, as confirmed and as restricted
    /// as it was.
    void let_back() { former_.let_back(); }
    /// True for a key that a file of the key folder has.
    bool has_file(const ssh::PublicKey& key) const;
    /// A file of the key folder is gone. @returns the lines that are gone.
    std::vector<HeldKeyPtr> drop_file(const std::filesystem::path& file);

    /// The answer to SSH_AGENTC_REQUEST_IDENTITIES with every line, framed; made when the keys change, not
    /// when it is asked for.
    std::shared_ptr<const Bytes> listing() const;
    /// The lines that may be seen on a connection.
    std::vector<HeldKeyPtr> visible(const protocol::BoundSessions& sessions) const;
    /// False when every line may be seen on every connection.
    bool restricted() const noexcept { return restricted_; }

    std::size_t size() const noexcept { return keys_.size(); }
    /// Called after each change, before the change has returned.
    void on_change(std::function<void()> listener) { listener_ = std::move(listener); }

  private:
    /// What a file of the key folder has.
    struct Content {
        std::string key;   ///< blob
        Bytes certificate; ///< blob; empty for none
        HeldKey terms;     ///< of its lines, unless a client gives them
    };

    void reload_given(const IdentityPtr& identity, bool confirm);
    void follow_certificate(ByteView before, const IdentityPtr& identity);
    std::vector<HeldKeyPtr> lines_of(const IdentityPtr& identity, const HeldKey& terms) const;
    void share_terms(const HeldKey& key);
    void note_gone(const HeldKey& line);
    bool still_serves(const KeyUse& use) const;
    void end_uses_where(const std::function<bool(const KeyUse&)>& over) const;
    void changed();

    std::vector<HeldKeyPtr> keys_;
    std::map<std::filesystem::path, Content> files_;
    std::unordered_set<std::string> file_keys_; ///< blobs of keys that a file has had
    FormerTerms former_;
    bool restricted_ = false;
    mutable std::shared_ptr<const Bytes> listing_; ///< null: to be made
    std::vector<std::weak_ptr<KeyUse>> uses_;
    std::function<void()> listener_;
};

/// A list answer of these lines, framed.
Bytes listing_of(const std::vector<HeldKeyPtr>& keys);

} // namespace sshtpm::agent
