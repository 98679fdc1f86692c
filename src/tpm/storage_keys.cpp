// SPDX-License-Identifier: MIT
#include "tpm/storage_keys.hpp"

#include "base/log.hpp"
#include "keyfile/names.hpp"
#include "tpm/capability.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"
#include "tpm/templates.hpp"

#include <algorithm>
#include <vector>

namespace sshtpm::tpm {

namespace {

bool is_persistent(TPM2_HANDLE handle) {
    return handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT;
}

/// True if the key is restricted to decryption (TPM 2.0 Part 2, 8.3, TPMA_OBJECT).
bool is_storage_key(const TPMT_PUBLIC& area) {
    constexpr TPMA_OBJECT kind = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SIGN_ENCRYPT;
    return (area.type == TPM2_ALG_ECC || area.type == TPM2_ALG_RSA) &&
           (area.objectAttributes & kind) == (TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
}

Error hierarchy_password_error(const Hierarchy& hierarchy) {
    return {Errc::auth, "the " + std::string(hierarchy.name) + " hierarchy has a password",
            hierarchy.handle == TPM2_RH_OWNER ? "-o asks for it"
                                              : "only that of the owner hierarchy can be given"};
}

/// Only persistent objects have a password; for a key file that names the owner, it is the one at 0x81000001.
Error parent_password_error(TPM2_HANDLE named) {
    const bool is_named = is_persistent(named);
    return {Errc::unsupported,
            keyfile::handle_name(is_named ? named : srk_handle) +
                ": the key's parent has a password of its own, which cannot be given here",
            is_named ? "use a parent without one (--parent-handle); the key's PIN guards the key"
                     : "with the owner password (-o) this parent is not needed"};
}

/// The storage keys of ssh-tpm-agent 0.1 and 0.2 differ from the TCG's in `unique`: it is filled with zeros.
TPM2B_PUBLIC template_of(const ParentName& name) {
    auto out = name.rsa ? rsa_storage_key() : ecc_storage_key();
    auto& unique = out.publicArea.unique; // the bytes are zero already
    if (name.legacy != keyfile::Legacy::none && name.rsa)
        unique.rsa.size = 256;
    else if (name.legacy != keyfile::Legacy::none)
        unique.ecc.x.size = unique.ecc.y.size = 32;
    return out;
}

/// The names by which KnownTpms knows a parent; none for a key of the null hierarchy.
std::vector<std::string> labels_of(const Parent& parent) {
    const auto label = label_of(parent.name);
    if (label.empty() || !parent.instead_of_ecc)
        return label.empty() ? std::vector<std::string>{} : std::vector{label};
    return {label_of({.handle = parent.name.handle}), label};
}

Parent loaded_parent(Handle object, const ParentName& name) {
    const auto tr = object.tr();
    return {.loaded = std::move(object), .tr = tr, .name = name};
}

} // namespace

const Hierarchy& hierarchy_of(TPM2_HANDLE handle) {
    const auto* const found = std::ranges::find(hierarchies, handle, &Hierarchy::handle);
    if (found == hierarchies.end())
        throw Error(Errc::unsupported, "a parent that is neither a hierarchy nor a persistent key");
    return *found;
}

ParentName parent_name(const keyfile::KeyFile& key) noexcept {
    const bool legacy_rsa = key.legacy != keyfile::Legacy::none && key.public_area.type == TPM2_ALG_RSA;
    return {.handle = key.parent, .rsa = key.rsa_parent || legacy_rsa, .legacy = key.legacy};
}

std::string label_of(const ParentName& parent) {
    if (is_persistent(parent.handle))
        return keyfile::handle_name(parent.handle);
    if (parent.handle == TPM2_RH_NULL)
        return {};
    return std::string(hierarchy_of(parent.handle).name) +
           (parent.legacy != keyfile::Legacy::none ? "-legacy" : "") + (parent.rsa ? "-rsa" : "-ecc");
}

Handle try_create_primary(const Context& context, ESYS_TR hierarchy, ESYS_TR session,
                          const TPM2B_PUBLIC& key_template) {
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_outside_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc = Esys_CreatePrimary(context.esys(), hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                       &no_auth, &key_template, &no_outside_info, &no_pcrs, &tr, nullptr,
                                       nullptr, nullptr, nullptr);
    if (check_expecting("Esys_CreatePrimary", rc, {TPM2_RC_BAD_AUTH, TPM2_RC_AUTH_FAIL}) != TSS2_RC_SUCCESS)
        return {};
    return Handle::transient(context, tr);
}

StorageKeys::StorageKeys(const Context& context, KnownTpms& known, const Auth& owner_password)
    : context_(context), known_(known), owner_password_(owner_password) {
    auto found = look_up(context_, srk_handle);
    if (!found)
        return;
    const auto area = read_public(context_, found.tr());
    persistent_srk_name_.rsa = area.type == TPM2_ALG_RSA;
    if (!made_from(area, template_of(persistent_srk_name_).publicArea))
        return;
    persistent_srk_ = std::move(found);
    copy_is_instead_of_ecc_ = persistent_srk_name_.rsa && !supports(context_, KeyAlgorithm{});
}

bool StorageKeys::is_persistent_srk(const ParentName& name) const noexcept {
    return persistent_srk_ && (name == persistent_srk_name_ || name.handle == srk_handle ||
                               (copy_is_instead_of_ecc_ && name == ParentName{}));
}

bool StorageKeys::opening_needs_session(const keyfile::KeyFile& key) const noexcept {
    const bool is_made = key.kind == keyfile::KeyKind::primary || !is_persistent_srk(parent_name(key));
    return owner_password_ && key.parent == TPM2_RH_OWNER && is_made;
}

Parent StorageKeys::open(const keyfile::KeyFile& key) {
    const auto name = parent_name(key);
    auto parent = is_persistent_srk(name)      ? persistent_copy(name)
                  : is_persistent(name.handle) ? persistent_object(name.handle)
                                               : primary(name);
    // The known storage key of the owner is another one: either the copy is not the owner's key, or this is
    // another TPM. The key that the hierarchy makes shows which.
    if (parent.tr == persistent_srk_.tr() && name.handle == TPM2_RH_OWNER &&
        judge_persistent_copy() == KnownTpms::Verdict::other)
        if (auto real = replace_copy(parent, TPM2_RC_INTEGRITY))
            return std::move(*real);
    require(parent);
    return parent;
}

Parent StorageKeys::persistent_copy(const ParentName& named) const {
    const bool is_owners = named.handle == TPM2_RH_OWNER;
    return {.loaded = {},
            .tr = persistent_srk_.tr(),
            .name = is_owners ? persistent_srk_name_ : named,
            .instead_of_ecc = is_owners && copy_is_instead_of_ecc_};
}

KnownTpms::Verdict StorageKeys::judge_persistent_copy() const {
    return known_.judge(label_of(persistent_srk_name_), name_of(context_, persistent_srk_.tr()));
}

std::vector<KnownParent> StorageKeys::names(const Parent& parent) const {
    std::vector<KnownParent> names;
    for (auto& label : labels_of(parent))
        names.push_back(
            {.parent = std::move(label), .name = name_of(context_, parent.tr), .tcti = {}, .line = 0});
    return names;
}

void StorageKeys::require(const Parent& parent) const {
    for (const auto& [label, name, tcti, line] : names(parent))
        known_.require(label, name);
}

void StorageKeys::accept(const Parent& parent) const {
    for (const auto& [label, name, tcti, line] : names(parent))
        known_.accept(label, name);
}

Parent StorageKeys::open_for_creation(const ParentName& name) {
    auto parent = [&]() -> Parent {
        if (name.handle == srk_handle && persistent_srk_)
            return persistent_copy(name); // the same handle: a second one would close both
        if (is_persistent(name.handle))
            return persistent_object(name.handle);
        if (!is_persistent_srk(name))
            return primary(name);
        if (auto made = owner_storage_key())
            return std::move(*made);
        const auto verdict = judge_persistent_copy();
        if (verdict == KnownTpms::Verdict::other)
            throw hierarchy_password_error(hierarchy_of(name.handle));
        return persistent_copy(verdict == KnownTpms::Verdict::same ? name : ParentName{.handle = srk_handle});
    }();
    require(parent);
    return parent;
}

std::optional<Parent> StorageKeys::open_other_at_srk_handle(const Parent& tried) {
    if (!persistent_srk_ || is_persistent_copy(tried))
        return std::nullopt;
    return open_for_creation({.handle = srk_handle});
}

std::optional<Parent> StorageKeys::replace_copy(const Parent& tried, TSS2_RC failure) {
    const bool has_password = failure == TPM2_RC_AUTH_FAIL || failure == TPM2_RC_BAD_AUTH;
    if (!persistent_srk_ || tried.tr != persistent_srk_.tr() ||
        (has_password && is_persistent(tried.name.handle)) || (!has_password && failure != TPM2_RC_INTEGRITY))
        return std::nullopt;
    auto made = owner_storage_key();
    if (!made || (!has_password && is_persistent_copy(*made)))
        return std::nullopt;
    require(*made);
    log::info("the key at 0x81000001 ",
              has_password ? "has a password" : "is not this TPM's standard storage key", "; it is not used");
    persistent_srk_ = {};
    return made;
}

/// @returns nothing if the owner hierarchy has a password that was not given
std::optional<Parent> StorageKeys::owner_storage_key() const {
    try {
        auto parent = primary(persistent_srk_name_);
        parent.instead_of_ecc = copy_is_instead_of_ecc_;
        return parent;
    } catch (const Error& error) { // caught because the persistent copy may be usable without the password
        if (error.code() != Errc::auth || owner_password_)
            throw;
        return std::nullopt;
    }
}

bool StorageKeys::is_persistent_copy(const Parent& primary) const {
    return equal(name_of(context_, primary.tr), name_of(context_, persistent_srk_.tr()));
}

Parent StorageKeys::primary(const ParentName& name) const {
    try { // caught for TPMs without ECC
        return loaded_parent(create_in(name.handle, template_of(name)), name);
    } catch (const Error& error) {
        const bool may_lack_ecc =
            error.code() == Errc::unsupported && !name.rsa && name.legacy == keyfile::Legacy::none;
        if (!may_lack_ecc || supports(context_, KeyAlgorithm{}))
            throw;
    }
    auto parent = primary({.handle = name.handle, .rsa = true});
    parent.instead_of_ecc = true;
    return parent;
}

Handle StorageKeys::create_in(TPM2_HANDLE handle, const TPM2B_PUBLIC& key_template) const {
    const auto& hierarchy = hierarchy_of(handle);
    if (handle != TPM2_RH_OWNER || !owner_password_) {
        if (auto made = try_create_primary(context_, hierarchy.tr, ESYS_TR_PASSWORD, key_template))
            return made;
        throw hierarchy_password_error(hierarchy);
    }
    const auto session = start_owner_session();
    prepare_session(context_, session, Encryption::none); // the new key has no auth value to hide
    const AuthInUse in_use(context_, hierarchy.tr, owner_password_);
    if (auto made = try_create_primary(context_, hierarchy.tr, session.tr(), key_template))
        return made;
    throw Error(Errc::auth, "the owner password is wrong",
                "-o asks for it; --owner-password-file and SSH_TPM_AGENT_OWNER_PASSWORD give it");
}

/// Salts the session to the persistent copy if that is the known key, else to a key of the null hierarchy.
/// This hierarchy has no password, but its key changes with each reset and cannot be known: an attacker
/// between this program and the TPM can substitute a key of their own and guess passwords from recorded
/// commands.
Handle StorageKeys::start_owner_session() const {
    if (persistent_srk_ && judge_persistent_copy() == KnownTpms::Verdict::same)
        return start_hmac_session(context_, persistent_srk_.tr());
    return start_hmac_session(context_, primary({.handle = TPM2_RH_NULL}).tr);
}

Parent StorageKeys::persistent_object(TPM2_HANDLE handle) const {
    auto found = look_up(context_, handle);
    if (!found)
        throw Error(Errc::not_found,
                    "the parent, the persistent object " + keyfile::handle_name(handle) +
                        ", is not in this TPM",
                    "restore that object (tpm2_evictcontrol), or make a new key with `ssh-tpm keygen`");
    const auto area = read_public(context_, found.tr());
    if (!is_storage_key(area))
        throw Error(Errc::unsupported,
                    "the key at " + keyfile::handle_name(handle) +
                        " cannot be a parent: it is no storage key",
                    "a parent is a restricted decryption key, as tpm2_createprimary makes it");
    auto parent = loaded_parent(std::move(found), {.handle = handle});
    const auto label = label_of(parent.name);
    if (std::ranges::find(known_.with_password, label) != known_.with_password.end())
        throw parent_password_error(handle);
    parent.exempt = (area.objectAttributes & TPMA_OBJECT_NODA) != 0;
    if (!parent.exempt && known_.judge(label, name_of(context_, parent.tr)) !=
                              KnownTpms::Verdict::same) // it may have a password
        require_tries(handle);
    return parent;
}

/// @throws Error(refused) if a wrong auth value would lock the TPM
void StorageKeys::require_tries(TPM2_HANDLE parent) const {
    if (const auto lockout = read_lockout(context_); lockout.last_try())
        throw Error(Errc::refused,
                    keyfile::handle_name(parent) +
                        ": this parent is not tried now: if it has a password, that would lock the TPM",
                    "one wrong PIN is forgotten " + every(lockout.interval));
}

void StorageKeys::require_use(const Parent& parent, const char* call, TSS2_RC code) {
    if (code == TPM2_RC_LOCKOUT)
        throw parent.exempt ? error_of(call, code)
                            : lockout_error(context_, call)
                                  .about("the key's parent, " + keyfile::handle_name(parent.name.handle) +
                                         ", is not exempt from lockout (noDA)");
    if (code != TPM2_RC_AUTH_FAIL && code != TPM2_RC_BAD_AUTH)
        return;
    if (!parent.exempt)
        known_.with_password.push_back(label_of(parent.name));
    throw parent_password_error(parent.name.handle);
}

} // namespace sshtpm::tpm
