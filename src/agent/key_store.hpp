#pragma once
// The keys that the agent holds, each with what it may be used for.

#include "identity/identity.hpp"
#include "os/boottime.hpp"
#include "protocol/bound_sessions.hpp"
#include "protocol/constraints.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace sshtpm::agent {

using IdentityPtr = std::shared_ptr<const identity::Identity>;

/// One line of the agent's list: a key, or a certificate of it, which is a line of its own as in ssh-agent.
struct HeldKey {
    enum class Origin {
        folder,    ///< a file of the key folder: it comes and goes with the file
        client,    ///< a client gave a key file
        sealed,    ///< a client gave a private key, which went into the TPM on arrival
        hierarchy, ///< the TPM makes it from a seed; it is there from the start
    };

    IdentityPtr identity;
    std::optional<ssh::Certificate> certificate = {};
    Origin origin = Origin::client;
    protocol::Constraints constraints = {};
    std::optional<os::BootClock::time_point> dies = {};

    /// What clients name it by.
    ByteView blob() const noexcept;
    bool certifies() const noexcept { return certificate.has_value(); }
};

using HeldKeyPtr = std::shared_ptr<const HeldKey>;

class KeyStore {
  public:
    /// By the blob of a key or of a certificate; the bare key of a certificate finds that too. Null when
    /// there is none.
    HeldKeyPtr find(ByteView blob) const;
    /// The line with exactly this blob; null when there is none.
    HeldKeyPtr find_line(ByteView blob) const;
    /// Of the bare key, whichever line has it; null when there is none.
    HeldKeyPtr find_public_key(const ssh::PublicKey& key) const;

    /// Adds a line, or puts it in the place of the one with the same blob.
    void add(HeldKey key);
    /// @returns the line that is gone; null when there was none.
    HeldKeyPtr remove(ByteView blob);
    void clear();
    /// Removes what has died. @returns the lines that are gone.
    std::vector<HeldKeyPtr> expire(os::BootClock::time_point now);
    /// When the next line dies.
    std::optional<os::BootClock::time_point> next_death() const;

    /// A file of the key folder is new or has changed. Lines that the file gave before are replaced; of a key
    /// that a client has added, the constraints stay and only what the TPM loads is replaced.
    /// @param terms the constraints and the death of new lines.
    void put_file(IdentityPtr identity, const HeldKey& terms);
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
    void changed();

    std::vector<HeldKeyPtr> keys_;
    bool restricted_ = false;
    mutable std::shared_ptr<const Bytes> listing_; ///< null: to be made
    std::function<void()> listener_;
};

/// A list answer of these lines, framed.
Bytes listing_of(const std::vector<HeldKeyPtr>& keys);

} // namespace sshtpm::agent
