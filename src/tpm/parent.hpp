#pragma once
// The storage key that a key file hangs under.

#include "base/error.hpp"
#include "keyfile/key_file.hpp"
#include "tpm/handle.hpp"
#include "tpm/known_tpms.hpp"
#include "tpm/session.hpp"

#include <optional>
#include <string>

namespace sshtpm::tpm {

class Context;

/// Which parent a key file names.
struct ParentName {
    TPM2_HANDLE handle = 0;
    bool rsa = false;
    keyfile::Legacy legacy = keyfile::Legacy::none;

    friend bool operator==(const ParentName&, const ParentName&) = default;
};

ParentName parent_name(const keyfile::KeyFile& key) noexcept;

/// A parent ready for use: loaded for this purpose and flushed with it, or persistent.
struct Parent {
    Handle loaded; ///< empty when the parent is the persistent SRK
    ESYS_TR tr = ESYS_TR_NONE;
    TPM2_HANDLE named = 0;  ///< how key files under it name it: a hierarchy or a persistent handle
    std::string label = {}; ///< which one it is for KnownTpms; empty when it is none that lasts
};

/// "owner-ecc", "endorsement-rsa", "owner-legacy-ecc", "0x81000005"; empty for the null hierarchy, whose keys
/// change with each reset. The persistent copy of the owner's storage key is "owner-ecc" to the keys that
/// name the owner hierarchy: it has the same Name.
std::string label_of(const ParentName& parent);

class Parents {
  public:
    /// Looks once whether the TPM keeps the standard ECC storage key persistent (TPM2_ReadPublic).
    explicit Parents(const Context& context);

    /// The owner password, for CreatePrimary where the owner hierarchy has one: it goes through an HMAC
    /// session salted to the persistent storage key, or to one made in the null hierarchy, and never over the
    /// bus.
    void use_owner_password(Auth password) { owner_password_ = std::move(password); }

    /// Where the Names of parents are kept; it outlives this. Without it every parent is taken.
    void use_known_tpms(KnownTpms& known) { known_ = &known; }

    /// The parent that a key file names: a persistent object, or the storage key of a hierarchy; for the
    /// owner hierarchy's ECC key the persistent copy when there is one (no command), else CreatePrimary.
    /// Keys of ssh-tpm-agent 0.1 and 0.2 have the storage keys of those releases, never the persistent one.
    /// @throws Error: not_found for a persistent object that is not there, unsupported for one that is no
    ///     storage key, auth for a hierarchy with a password that was not given or is wrong, refused for one
    ///     whose Name is not the known one.
    Parent open(const keyfile::KeyFile& key);
    /// Whether `open`, or `create_in` for a primary key, starts a session for the owner password meanwhile.
    bool opening_needs_session(const keyfile::KeyFile& key) const noexcept;

    /// To be called once a Load or an Import has shown that it is the parent, and before a session is salted
    /// to it: its Name is kept when it is the first one. A key that merely lies at 0x81000001 is not kept,
    /// because the real one could not take its place any more.
    /// @throws Error(refused) for one whose Name is not the known one.
    void accept(const Parent& parent) const;

    /// The ECC storage key of a hierarchy, or a persistent object, for making or importing a key under it.
    /// The owner's is made by CreatePrimary, so that it is the right one; the persistent copy serves when its
    /// Name is the same. Where the owner hierarchy has a password that was not given, the persistent copy is
    /// the owner's only if its Name is known; if none is known, key files have to name it by its handle,
    /// `named`, since it may be another key, made from the same template. It is accepted already.
    /// @throws Error as open does.
    Parent open_for_creation(TPM2_HANDLE parent = TPM2_RH_OWNER);

    /// The key at 0x81000001 as itself, accepted, for a wrapped key that does not fit `tried`, the owner's
    /// storage key: it may be wrapped for this one. Nothing when they are the same, or when none of the
    /// owner's template is there.
    std::optional<Parent> open_other_at_srk_handle(const Parent& tried);

    /// A primary key made in a hierarchy, with the owner password where that is needed. @throws Error as open
    /// does.
    Handle create_in(TPM2_HANDLE hierarchy, const TPM2B_PUBLIC& key_template) const {
        return primary(hierarchy, key_template).loaded;
    }

    /// To be called when a Load under the persistent copy failed its integrity check: finds out whether that
    /// copy is the standard storage key at all. If it is not, it is not used any more, and the real one is
    /// returned; otherwise nothing: the key file is from another TPM. Nothing, too, when the owner hierarchy
    /// has a password that was not given, since then there is no finding out.
    /// @throws Error(refused) when the other one is not the known one either: who sits between can fake a
    ///     failed check.
    std::optional<Parent> replace_impostor(const Parent& tried);

  private:
    bool is_persistent_srk(const keyfile::KeyFile& key) const noexcept;
    Parent persistent_copy(TPM2_HANDLE named) const;
    Parent known_persistent_copy();
    Parent checked(Parent parent, std::string label) const;
    Parent accepted(Parent parent, std::string label) const;
    Parent persistent_object(TPM2_HANDLE handle) const;
    Parent primary(TPM2_HANDLE hierarchy, const TPM2B_PUBLIC& storage_key) const;
    std::optional<Parent> standard_storage_key() const;
    KnownTpms::Verdict judge_persistent_copy() const;
    Parent owner_primary(const TPM2B_PUBLIC& storage_key) const;
    Handle start_owner_session() const;
    bool is_persistent_copy(const Parent& primary) const;

    const Context& context_;
    KnownTpms* known_ = nullptr;
    Handle persistent_srk_;
    Auth owner_password_;
};

/// For a parent that refused the empty auth value in a command under it.
Error parent_password_error();

} // namespace sshtpm::tpm
