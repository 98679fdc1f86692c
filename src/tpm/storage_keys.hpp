// SPDX-License-Identifier: MIT
#pragma once
// The parents of keys: the storage keys of the hierarchies, and persistent ones.

#include "keyfile/key_file.hpp"
#include "tpm/known_tpms.hpp"
#include "tpm/session.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::tpm {

struct Hierarchy {
    std::string_view name;
    std::string_view letter; ///< the option of tpm2-tools
    TPM2_HANDLE handle = TPM2_RH_NULL;
    ESYS_TR tr = ESYS_TR_RH_NULL;
};

inline constexpr std::array hierarchies{
    Hierarchy{"owner", "o", TPM2_RH_OWNER, ESYS_TR_RH_OWNER},
    Hierarchy{"endorsement", "e", TPM2_RH_ENDORSEMENT, ESYS_TR_RH_ENDORSEMENT},
    Hierarchy{"platform", "p", TPM2_RH_PLATFORM, ESYS_TR_RH_PLATFORM},
    Hierarchy{"null", "n", TPM2_RH_NULL, ESYS_TR_RH_NULL},
};

/// @throws Error(unsupported) for any other handle.
const Hierarchy& hierarchy_of(TPM2_HANDLE handle);

/// The handle of the owner's storage key by TCG's provisioning guidance, systemd and others.
inline constexpr TPM2_HANDLE srk_handle = 0x81000001;

/// The parent, as a key file names it.
struct ParentName {
    TPM2_HANDLE handle = TPM2_RH_OWNER; ///< a hierarchy or a persistent object
    bool rsa = false;                   ///< the hierarchy's RSA key
    keyfile::Legacy legacy = keyfile::Legacy::none;

    friend bool operator==(const ParentName&, const ParentName&) = default;
};

ParentName parent_name(const keyfile::KeyFile& key) noexcept;

/// The parent's name in KnownTpms: "owner-ecc", "endorsement-rsa", "owner-legacy-ecc", "0x81000005"; empty
/// for the null hierarchy, whose keys change with each reset.
std::string label_of(const ParentName& parent);

/// A parent ready for use.
struct Parent {
    Handle loaded; ///< empty for the persistent copy of the owner's storage key, which StorageKeys holds
    ESYS_TR tr = ESYS_TR_NONE;
    ParentName name; ///< for the key files under it
    /// False for a parent under dictionary-attack protection: in a lockout the TPM refuses its auth value,
    /// the empty one too, and so all keys under it (TPM 2.0 Part 1, 19.8).
    bool exempt = true;
    /// True for a hierarchy's RSA key in the place of its ECC key, on a TPM without ECC. It is known by both
    /// names: an attacker between this program and the TPM could deny ECC, or bring it in, to substitute a
    /// key of their own.
    bool instead_of_ecc = false;
};

/// Makes a primary key without an auth value (TPM2_CreatePrimary).
/// @param hierarchy such as ESYS_TR_RH_OWNER, with its auth value set
/// @param session ESYS_TR_PASSWORD for an empty auth value, else an HMAC session
/// @returns empty if the TPM refused the auth value. This costs no try, because hierarchies are not under
///     dictionary-attack protection (TPM 2.0 Part 1, 19.8).
Handle try_create_primary(const Context& context, ESYS_TR hierarchy, ESYS_TR session,
                          const TPM2B_PUBLIC& key_template);

class StorageKeys {
  public:
    /// Checks once whether the TPM has a storage key of the owner's at 0x81000001 (TPM2_ReadPublic): the
    /// "persistent copy", of the ECC key or of the RSA key.
    /// @param owner_password for CreatePrimary; null for none. An HMAC session keeps it off the bus.
    StorageKeys(const Context& context, KnownTpms& known, const Auth& owner_password);

    /// Opens the parent of a key file: a persistent object, or the storage key of a hierarchy
    /// (TPM2_CreatePrimary). Uses the persistent copy for the owner's key, which needs no command. On a TPM
    /// without ECC, a hierarchy's RSA key takes the place of the ECC key.
    /// @throws Error: not_found for a missing persistent object, unsupported for one that is not a storage
    ///     key or has refused an empty auth value, auth for a hierarchy whose password was not given or is
    ///     wrong, refused for a parent whose Name is not the known one
    Parent open(const keyfile::KeyFile& key);
    /// True if `open`, or `create_in` for a primary key, starts a session for the owner password.
    bool opening_needs_session(const keyfile::KeyFile& key) const noexcept;

    /// Records the Name of a parent, if none is known. Call it after a Load or an Import has shown that the
    /// key belongs to the parent, and before a session is salted to the parent. Not earlier, because a wrong
    /// key at 0x81000001 would then be recorded instead of the right one.
    /// @throws Error(refused) if the Name is not the known one
    void accept(const Parent& parent) const;

    /// Opens a parent for a new key: the storage key of a hierarchy, or a persistent object.
    /// The owner's storage key is made by CreatePrimary, which proves that it is the right one. If the owner
    /// password is needed and was not given, the persistent copy is used if its Name is known. If no Name is
    /// known, the new key names the copy by its handle, because it may be another key of the same template.
    /// @throws Error as open does
    Parent open_for_creation(const ParentName& name = {});

    /// The labels by which KnownTpms knows a parent, each with the parent's Name now.
    std::vector<KnownParent> names(const Parent& parent) const;

    /// Opens the key at 0x81000001, for a wrapped key that does not fit `tried`, the owner's
    /// storage key. @returns nothing if they are the same, or if that key has another template
    std::optional<Parent> open_other_at_srk_handle(const Parent& tried);

    /// TPM2_CreatePrimary, with the owner password if it is needed. @throws Error as open does
    Handle create_in(TPM2_HANDLE hierarchy, const TPM2B_PUBLIC& key_template) const;

    /// Call it after a Load under the persistent copy has failed: its integrity check, or because the copy
    /// has a password, which does not show in its Name. Makes the owner's storage key, and does not use the
    /// copy any more.
    /// @param failure the base code of TPM2_Load
    /// @returns the owner's storage key. Nothing if it is the same key and the integrity check failed (the
    ///     key file is then from another TPM), if the key file names 0x81000001, or if the owner password is
    ///     needed and was not given.
    /// @throws Error(refused) if the new one has another Name than the known one: an attacker between this
    ///     program and the TPM can fake a failed check
    std::optional<Parent> replace_copy(const Parent& tried, TSS2_RC failure);

    /// Checks the result of a command that used the parent's auth value, which is empty: TPM2_Create,
    /// TPM2_Load, TPM2_Import. If the parent has a password and is not exempt, the TPM has counted a wrong
    /// PIN: `open` then refuses this parent, so that a program spends one try on it.
    /// @param code the base code of the command
    /// @throws Error(unsupported) for a parent with a password, Error(lockout) in a lockout
    void require_use(const Parent& parent, const char* call, TSS2_RC code);

  private:
    bool is_persistent_srk(const ParentName& name) const noexcept;
    Parent persistent_copy(const ParentName& named) const;
    Parent persistent_object(TPM2_HANDLE handle) const;
    Parent primary(const ParentName& name) const;
    std::optional<Parent> owner_storage_key() const;
    KnownTpms::Verdict judge_persistent_copy() const;
    bool is_persistent_copy(const Parent& primary) const;
    void require(const Parent& parent) const;
    void require_tries(TPM2_HANDLE parent) const;
    Handle start_owner_session() const;

    const Context& context_;
    KnownTpms& known_;
    const Auth& owner_password_;
    Handle persistent_srk_;
    ParentName persistent_srk_name_; ///< of the owner's key with the same template
    bool copy_is_instead_of_ecc_ = false;
};

} // namespace sshtpm::tpm
