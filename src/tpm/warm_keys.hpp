#pragma once
// Keys kept loaded between signatures, so that one signature costs one TPM command.

#include "keyfile/key_file.hpp"
#include "tpm/parent.hpp"
#include "tpm/retry.hpp"
#include "tpm/saved_primaries.hpp"
#include "tpm/session.hpp"
#include "tpm/sign.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace sshtpm::tpm {

class WarmKeys {
  public:
    /// The kernel's resource manager gives a descriptor three objects, and a TPM without one has as many for
    /// all; with the parent of a key being loaded, for as long as that takes, two may stay.
    static constexpr std::size_t capacity = 2;

    /// @param primaries for keys without a file; they outlive this.
    WarmKeys(const Context& context, SavedPrimaries& primaries);

    /// Signs a digest of `hash`. A warm key costs TPM2_Sign alone; a cold one TPM2_Load and TPM2_Sign under
    /// the persistent storage key, with TPM2_CreatePrimary in front where there is none; the first use with a
    /// PIN one TPM2_StartAuthSession and one TPM2_GetRandom through it. A cold primary key costs
    /// TPM2_ContextLoad and TPM2_Sign, and the first time TPM2_CreatePrimary. Busy, full and forgetful TPMs
    /// are retried as retry.hpp says.
    /// @param auth the key's auth value; null for a key without one.
    SignResult sign(const std::shared_ptr<const keyfile::KeyFile>& key, const Auth& auth, TPMI_ALG_HASH hash,
                    ByteView digest);

    /// Loads a key with a PIN, and starts its session, so that what is wrong with its parent shows before a
    /// person is asked. The signature after it costs TPM2_Sign alone.
    void make_ready(const std::shared_ptr<const keyfile::KeyFile>& key);

    /// Gives back everything in the TPM: for an idle agent, and before it ends.
    void flush() noexcept;
    /// The same before another attempt. For Remedy::reload only of what the TPM still has: the rest is
    /// forgotten without a word to it.
    void give_back(Remedy remedy) noexcept;
    /// Gives back the session: for what needs one of its own, since two are not held; and after a wrong PIN,
    /// which ESYS keeps in it. A refusal is not under the session's HMAC, either: one that was made of a good
    /// reply on its way leaves the nonces out of step, and the right PIN would count as a wrong one from then
    /// on.
    void drop_session() noexcept;
    bool holds_nothing() const noexcept { return warm_.empty() && !session_; }

    using Clock = std::chrono::steady_clock;

    /// Gives back the session when it was last used before `since`, and the keys when none was used since. A
    /// session that is kept long costs all users of the TPM: the resource manager saves and loads it around
    /// each command, until the oldest saved one is too far behind (TPM_RC_CONTEXT_GAP).
    /// @returns the earliest last use of what stays; nothing when nothing does.
    std::optional<Clock::time_point> rest(Clock::time_point since) noexcept;

    Parents& parents() noexcept { return parents_; }
    SavedPrimaries& primaries() noexcept { return primaries_; }

  private:
    struct Warm {
        std::shared_ptr<const keyfile::KeyFile> key;
        Handle handle;
    };

    ESYS_TR loaded(const std::shared_ptr<const keyfile::KeyFile>& key, bool with_session);
    void start_session(const keyfile::KeyFile& key, const Parent& parent);
    bool has_session_for(const keyfile::KeyFile& key) const;
    void load(const std::shared_ptr<const keyfile::KeyFile>& key, bool with_session);
    void abandon_lost() noexcept;
    void hold(const std::shared_ptr<const keyfile::KeyFile>& key, Handle handle);

    const Context& context_;
    SavedPrimaries& primaries_;
    Parents parents_;
    Handle session_;
    Clock::time_point session_used_, keys_used_;
    /// Whose storage key the session is salted to. A key's PIN is used only in a session of its own parent's:
    /// the parent that another key file names may be somebody's who knows its private half.
    std::optional<ParentName> session_parent_;
    std::vector<Warm> warm_; ///< the last used one in front
};

/// Loads a key under its parent (TPM2_Load), which is accepted then. @throws Error(foreign_key) when it is
/// another TPM's.
Handle load_key(const Context& context, Parents& parents, Parent& parent, const keyfile::KeyFile& key);

} // namespace sshtpm::tpm
