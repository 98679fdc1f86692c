#include "tpm/parent.hpp"

#include "base/log.hpp"
#include "keyfile/names.hpp"
#include "tpm/context.hpp"
#include "tpm/hierarchy.hpp"
#include "tpm/object.hpp"
#include "tpm/primary.hpp"
#include "tpm/rc.hpp"
#include "tpm/templates.hpp"

namespace sshtpm::tpm {

namespace {

constexpr const char* owner_ecc = "owner-ecc";

bool is_persistent(TPM2_HANDLE handle) {
    return handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT;
}

Parent loaded_parent(Handle object, TPM2_HANDLE named) {
    const auto tr = object.tr();
    return {.loaded = std::move(object), .tr = tr, .named = named};
}

/// Restricted to decryption: what makes a key a storage parent (TPM 2.0 Part 2, 8.3, TPMA_OBJECT).
bool is_storage_key(const TPMT_PUBLIC& area) {
    constexpr TPMA_OBJECT kind = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_SIGN_ENCRYPT;
    return (area.type == TPM2_ALG_ECC || area.type == TPM2_ALG_RSA) &&
           (area.objectAttributes & kind) == (TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
}

Error password_error(const Hierarchy& hierarchy) {
    return {Errc::auth, "the " + std::string(hierarchy.name) + " hierarchy has a password",
            hierarchy.handle == TPM2_RH_OWNER ? "-o asks for it"
                                              : "only that of the owner hierarchy can be given"};
}

TPM2B_PUBLIC storage_key_for(const keyfile::KeyFile& key) {
    if (key.legacy != keyfile::Legacy::none)
        return key.public_area.type == TPM2_ALG_RSA ? legacy_rsa_storage_key() : legacy_ecc_storage_key();
    return key.rsa_parent ? rsa_storage_key() : ecc_storage_key();
}

} // namespace

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

Parents::Parents(const Context& context) : context_(context) {
    auto found = look_up(context_, srk_handle);
    if (found && made_from(read_public(context_, found.tr()), ecc_storage_key().publicArea))
        persistent_srk_ = std::move(found);
}

/// Whether the persistent storage key is the parent that the key file names.
bool Parents::is_persistent_srk(const keyfile::KeyFile& key) const noexcept {
    const bool standard =
        key.parent == TPM2_RH_OWNER && key.legacy == keyfile::Legacy::none && !key.rsa_parent;
    return persistent_srk_ && (standard || key.parent == srk_handle);
}

bool Parents::opening_needs_session(const keyfile::KeyFile& key) const noexcept {
    const bool is_made = key.kind == keyfile::KeyKind::primary || !is_persistent_srk(key);
    return owner_password_ && key.parent == TPM2_RH_OWNER && is_made;
}

Parent Parents::open(const keyfile::KeyFile& key) {
    auto label = label_of(parent_name(key));
    if (is_persistent_srk(key))
        return key.parent == srk_handle ? checked(persistent_copy(srk_handle), std::move(label))
                                        : known_persistent_copy();
    if (is_persistent(key.parent))
        return checked(persistent_object(key.parent), std::move(label));
    return checked(primary(key.parent, storage_key_for(key)), std::move(label));
}

Parent Parents::persistent_copy(TPM2_HANDLE named) const {
    return {.loaded = {}, .tr = persistent_srk_.tr(), .named = named};
}

KnownTpms::Verdict Parents::judge_persistent_copy() const {
    return known_ == nullptr ? KnownTpms::Verdict::unknown
                             : known_->judge(owner_ecc, name_of(context_, persistent_srk_.tr()));
}

/// When another storage key is known, what lies at the handle is an impostor, or the TPM is not the one that
/// is known: that of the hierarchy tells.
Parent Parents::known_persistent_copy() {
    auto copy = persistent_copy(TPM2_RH_OWNER);
    if (judge_persistent_copy() == KnownTpms::Verdict::other)
        if (auto real = replace_impostor(copy))
            return std::move(*real);
    return checked(std::move(copy), owner_ecc);
}

Parent Parents::checked(Parent parent, std::string label) const {
    parent.label = std::move(label);
    if (known_ != nullptr && !parent.label.empty())
        known_->require(parent.label, name_of(context_, parent.tr));
    return parent;
}

Parent Parents::accepted(Parent parent, std::string label) const {
    parent.label = std::move(label);
    accept(parent);
    return parent;
}

void Parents::accept(const Parent& parent) const {
    if (known_ != nullptr && !parent.label.empty())
        known_->accept(parent.label, name_of(context_, parent.tr));
}

Parent Parents::open_for_creation(TPM2_HANDLE parent) {
    auto label = label_of({.handle = parent});
    if (parent == srk_handle && persistent_srk_) // ESYS has one handle for it, and closing one closes both
        return accepted(persistent_copy(srk_handle), std::move(label));
    if (is_persistent(parent))
        return accepted(persistent_object(parent), std::move(label));
    if (parent != TPM2_RH_OWNER || !persistent_srk_)
        return accepted(primary(parent, ecc_storage_key()), std::move(label));
    if (auto made = standard_storage_key())
        return accepted(is_persistent_copy(*made) ? persistent_copy(parent) : std::move(*made), owner_ecc);
    const auto verdict = judge_persistent_copy();
    if (verdict == KnownTpms::Verdict::same)
        return accepted(persistent_copy(parent), owner_ecc);
    if (verdict == KnownTpms::Verdict::other)
        throw password_error(hierarchy_of(parent));
    return accepted(persistent_copy(srk_handle), label_of({.handle = srk_handle}));
}

std::optional<Parent> Parents::open_other_at_srk_handle(const Parent& tried) {
    if (!persistent_srk_ || tried.tr == persistent_srk_.tr())
        return std::nullopt;
    return open_for_creation(srk_handle);
}

std::optional<Parent> Parents::replace_impostor(const Parent& tried) {
    if (!persistent_srk_ || tried.tr != persistent_srk_.tr())
        return std::nullopt;
    auto made = standard_storage_key();
    if (!made || is_persistent_copy(*made))
        return std::nullopt;
    made = checked(std::move(*made), owner_ecc);
    log::info("the key at 0x81000001 is not this TPM's standard storage key; it is not used");
    persistent_srk_ = {};
    return made;
}

/// Nothing when the owner hierarchy has a password that was not given.
std::optional<Parent> Parents::standard_storage_key() const {
    try {
        return primary(TPM2_RH_OWNER, ecc_storage_key());
    } catch (const Error& error) { // caught because the persistent copy may serve without
        if (error.code() != Errc::auth || owner_password_)
            throw;
        return std::nullopt;
    }
}

Parent Parents::primary(TPM2_HANDLE hierarchy, const TPM2B_PUBLIC& storage_key) const {
    const auto& named = hierarchy_of(hierarchy);
    if (hierarchy == TPM2_RH_OWNER && owner_password_)
        return owner_primary(storage_key);
    auto made = try_create_primary(context_, named.tr, ESYS_TR_PASSWORD, storage_key);
    if (!made)
        throw password_error(named);
    return loaded_parent(std::move(made), hierarchy);
}

Parent Parents::owner_primary(const TPM2B_PUBLIC& storage_key) const {
    const auto session = start_owner_session();
    prepare_session(context_, session, Encryption::none); // the new key has no auth value to hide
    const AuthInUse in_use(context_, ESYS_TR_RH_OWNER, owner_password_);
    auto made = try_create_primary(context_, ESYS_TR_RH_OWNER, session.tr(), storage_key);
    if (!made)
        throw Error(Errc::auth, "the owner password is wrong", "-o asks for it");
    return loaded_parent(std::move(made), TPM2_RH_OWNER);
}

Handle Parents::start_owner_session() const {
    if (persistent_srk_ && (known_ == nullptr || judge_persistent_copy() == KnownTpms::Verdict::same))
        return start_hmac_session(context_, persistent_srk_.tr());
    // The null hierarchy has never a password. Its key is flushed before the one that it is needed for is
    // made. It is another one after each reset, so that none can be known: who sits between us and the TPM
    // can put his own in its place, and try passwords on what he records. Only the persistent copy guards
    // against that.
    const auto salt_key = create_primary(context_, ESYS_TR_RH_NULL, ecc_storage_key());
    return start_hmac_session(context_, salt_key.tr());
}

bool Parents::is_persistent_copy(const Parent& primary) const {
    return equal(name_of(context_, primary.tr), name_of(context_, persistent_srk_.tr()));
}

Parent Parents::persistent_object(TPM2_HANDLE handle) const {
    auto found = look_up(context_, handle);
    if (!found)
        throw Error(Errc::not_found, "the parent, the persistent object " + keyfile::handle_name(handle) +
                                         ", is not in this TPM");
    if (!is_storage_key(read_public(context_, found.tr())))
        throw Error(Errc::unsupported,
                    "the key at " + keyfile::handle_name(handle) +
                        " cannot be a parent: it is no storage key",
                    "a parent is a restricted decryption key, as tpm2_createprimary makes it");
    return loaded_parent(std::move(found), handle);
}

Error parent_password_error() {
    return {Errc::unsupported, "the key's parent has a password of its own, which cannot be given here",
            "use a parent without one; the key's PIN guards it"};
}

} // namespace sshtpm::tpm
