// SPDX-License-Identifier: MIT
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

/// The TPM refused the auth value. Its dictionary-attack counter may have increased.
struct WrongAuth {};

using SignResult = std::variant<TPMT_SIGNATURE, WrongAuth>;

/// A statement of the TPM, and its signature by an attestation key.
struct Attested {
    Bytes attest; ///< TPMS_ATTEST
    TPMT_SIGNATURE signature;
};

using CertifyResult = std::variant<Attested, WrongAuth>;

/// Loads a key under its parent (TPM2_Load), and accepts the parent.
/// @throws Error(foreign_key) for another TPM's key
Handle load_key(const Context& context, StorageKeys& parents, Parent& parent, const keyfile::KeyFile& key);

/// Signing keys that the TPM makes from a hierarchy's seed. A chip takes seconds for one, up to a minute for
/// RSA. So each is made once and then kept outside the TPM, as a saved context.
class PrimaryKeys {
  public:
    /// Loads the key from its saved context (TPM2_ContextLoad). Without a context, or after a reset, makes
    /// the key again (TPM2_CreatePrimary) and saves it (TPM2_ContextSave).
    /// @param key of KeyKind::primary
    /// @throws Error(foreign_key) if the hierarchy's seed has changed, and as `make` does
    Handle load(const Context& context, const StorageKeys& parents, const keyfile::KeyFile& key);

    /// Makes a key of the template `hierarchy_key`, saved and not loaded.
    /// @throws Error as StorageKeys::create_in does; it names a disabled hierarchy
    keyfile::KeyFile make(const Context& context, const StorageKeys& parents, TPM2_HANDLE hierarchy,
                          const KeyAlgorithm& algorithm);

  private:
    /// A saved context. The TPM encrypts it with a key of its own, and accepts it until the next reset.
    struct Saved {
        Bytes public_area; ///< marshalled, to identify the key
        TPMS_CONTEXT context;
    };
    Handle restore(const Context& context, ByteView public_area);
    void save(const Context& context, Bytes public_area, ESYS_TR object);

    std::vector<Saved> saved_;
};

/// All keys and sessions that are loaded over one connection.
class LoadedKeys {
  public:
    using Key = std::shared_ptr<const keyfile::KeyFile>;
    using Clock = std::chrono::steady_clock;

    /// A descriptor of /dev/tpmrm0, or a TPM without resource manager, has three slots for objects. One is
    /// kept for the parent of a key that is being loaded.
    static constexpr std::size_t capacity = 2;

    /// All must outlive this object.
    LoadedKeys(const Context& context, KnownTpms& known, const Auth& owner_password, PrimaryKeys& primaries);

    /// Signs a digest of `hash` as sign_digest does. The commands: for a loaded key, TPM2_Sign or, for an RSA
    /// key with decrypt, TPM2_RSA_Decrypt. For another key, TPM2_Load before it, preceded by
    /// TPM2_CreatePrimary if there is no persistent storage key. For the first use with a PIN, also
    /// TPM2_StartAuthSession and a TPM2_GetRandom. For a primary key that is not loaded, TPM2_ContextLoad,
    /// and at first TPM2_CreatePrimary.
    /// @param auth the key's auth value; null for a key without one
    SignResult sign(const Key& key, const Auth& auth, TPMI_ALG_HASH hash, ByteView digest);

    /// TPM2_Certify: the attestation key says that the key is in this TPM. The commands before it are those
    /// of `sign`.
    /// @param auth the key's auth value; null for a key without one
    /// @param attestation_key without an auth value
    /// @param qualifying_data a digest that the statement includes
    CertifyResult certify(const Key& key, const Auth& auth, ESYS_TR attestation_key,
                          ByteView qualifying_data);

    /// Loads a key with a PIN, and starts its session, so that errors of its parent occur before a person is
    /// asked. The next signature then costs TPM2_Sign alone.
    void make_ready(const Key& key);

    /// Loads a key and flushes it again, for the errors of loading: it may not be used soon, and without a
    /// resource manager other programs may need the slot.
    void try_loading(const Key& key);

    /// Flushes all keys and the session.
    void flush() noexcept;
    /// After the TPM has lost an object: flushes the others from the TPM, and forgets the lost ones.
    void flush_remains() noexcept;
    /// Drops the session before commands that need a session of their own, because two are not held. Also
    /// after a wrong PIN: ESYS has a copy in the session; and if the refusal was forged, which no HMAC
    /// prevents, the nonces differ, and the right PIN would be counted as wrong.
    void drop_session() noexcept;

    /// Flushes the session if it was last used before `since`, and the keys if none was used since. A session
    /// that is kept long disturbs all users of the TPM: the resource manager saves and loads it around each
    /// command, until the oldest saved session is too far behind (TPM_RC_CONTEXT_GAP).
    /// @returns the oldest last use of the rest; nothing if nothing is left
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
    /// The parent to which the session is salted. A PIN is used only in a session that is salted to its key's
    /// parent, because somebody may know the private half of the parent of another key file.
    std::optional<ParentName> session_parent_;
    std::vector<Loaded> loaded_; ///< the last used key in front
};

} // namespace sshtpm::tpm
