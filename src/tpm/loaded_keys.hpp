#pragma once
// Keys that stay loaded between signatures, so that a signature costs one TPM command.

#include "keyfile/key_file.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/templates.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace sshtpm::tpm {

/// The TPM refused the auth value. Its dictionary-attack counter may have gone up.
struct WrongAuth {};

using SignResult = std::variant<TPMT_SIGNATURE, WrongAuth>;

/// TPM2_Load under the key's parent, which is accepted then.
/// @throws Error(foreign_key) for another TPM's key.
Handle load_key(const Context& context, StorageKeys& parents, Parent& parent, const keyfile::KeyFile& key);

/// Signing keys that the TPM makes from a hierarchy's seed. A chip takes seconds for one, up to a minute for
/// RSA: so they are made once and then kept outside the TPM, as saved contexts.
class PrimaryKeys {
  public:
    /// From the saved context (TPM2_ContextLoad). Without one, or after a reset, the key is made again
    /// (TPM2_CreatePrimary) and saved (TPM2_ContextSave).
    /// @param key of KeyKind::primary.
    /// @throws Error(foreign_key) when the hierarchy's seed has changed, and as `make` does.
    Handle load(const Context& context, const StorageKeys& parents, const keyfile::KeyFile& key);

    /// A new key of the template `hierarchy_key`, saved and not loaded.
    /// @throws Error as StorageKeys::create_in does; it names a hierarchy that is disabled.
    keyfile::KeyFile make(const Context& context, const StorageKeys& parents, TPM2_HANDLE hierarchy,
                          const KeyAlgorithm& algorithm);

  private:
    /// The TPM encrypts a context with a key of its own, and accepts it until its next reset.
    struct Saved {
        Bytes public_area; ///< marshalled: which key it is
        TPMS_CONTEXT context;
    };
    Handle restore(const Context& context, ByteView public_area);
    void save(const Context& context, Bytes public_area, ESYS_TR object);

    std::vector<Saved> saved_;
};

/// All that is loaded over one connection.
class LoadedKeys {
  public:
    using Key = std::shared_ptr<const keyfile::KeyFile>;
    using Clock = std::chrono::steady_clock;

    /// There are three slots, of a descriptor of /dev/tpmrm0, or of the whole TPM; one is for the parent of a
    /// key that is being loaded.
    static constexpr std::size_t capacity = 2;

    /// The last three outlive this.
    LoadedKeys(const Context& context, KnownTpms& known, const Auth& owner_password, PrimaryKeys& primaries);

    /// Signs a digest of `hash` with ECDSA or RSASSA, by the key's type. A loaded key costs TPM2_Sign alone;
    /// another one TPM2_Load and TPM2_Sign under the persistent storage key, with TPM2_CreatePrimary in front
    /// where there is none; the first use with a PIN one TPM2_StartAuthSession and one TPM2_GetRandom through
    /// it. A primary key that is not loaded costs TPM2_ContextLoad and TPM2_Sign, and the first time
    /// TPM2_CreatePrimary.
    /// @param auth the key's auth value; null for a key without one.
    SignResult sign(const Key& key, const Auth& auth, TPMI_ALG_HASH hash, ByteView digest);

    /// Loads a key with a PIN, and starts its session, so that errors about its parent show before a person
    /// is asked. The signature after it costs TPM2_Sign alone.
    void make_ready(const Key& key);

    /// Flushes everything.
    void flush() noexcept;
    /// The same after the TPM has lost something: the rest is flushed from it, the lost is forgotten.
    void flush_remains() noexcept;
    /// For commands that need a session of their own: two are not held. And after a wrong PIN: ESYS has a
    /// copy in the session; and if the refusal was forged, which no HMAC protects, the nonces differ, so that
    /// the right PIN would be counted as wrong.
    void drop_session() noexcept;

    /// Flushes the session if it was last used before `since`, and the keys if none was used since. A
    /// session that is kept long disturbs all users of the TPM: the resource manager saves and loads it
    /// around each command, until the oldest saved one is too far behind (TPM_RC_CONTEXT_GAP).
    /// @returns the oldest last use among what stays; nothing when nothing stays.
    std::optional<Clock::time_point> rest(Clock::time_point since) noexcept;

    StorageKeys& parents() noexcept { return parents_; }
    PrimaryKeys& primaries() noexcept { return primaries_; }

  private:
    struct Loaded {
        Key key;
        Handle handle;
    };
    ESYS_TR ready(const Key& key, bool with_session);
    void load(const Key& key, bool with_session);
    void hold(const Key& key, Handle handle);
    void start_session(const keyfile::KeyFile& key, const Parent& parent);
    bool has_session_for(const keyfile::KeyFile& key) const;

    const Context& context_;
    PrimaryKeys& primaries_;
    StorageKeys parents_;
    Handle session_;
    Clock::time_point session_used_, keys_used_;
    /// The parent that the session is salted to. A PIN is used only in a session that is salted to its key's
    /// parent: somebody may know the private half of the parent that another key file names.
    std::optional<ParentName> session_parent_;
    std::vector<Loaded> loaded_; ///< the last used one in front
};

} // namespace sshtpm::tpm
