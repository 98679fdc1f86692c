// SPDX-License-Identifier: MIT
#include "tpm/loaded_keys.hpp"

#include "keyfile/marshal.hpp"
#include "tpm/capability.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"
#include "tpm/signature.hpp"

#include <algorithm>
#include <string>

namespace sshtpm::tpm {

namespace {

struct LoadResult {
    Handle handle; ///< empty if the TPM refused
    /// TPM2_RC_INTEGRITY: the key does not fit the parent. A code of an auth value: the parent has a
    /// password.
    TSS2_RC code;
};

LoadResult try_load(const Context& context, const Parent& parent, const keyfile::KeyFile& key) {
    const TPM2B_PUBLIC public_area{.size = 0, .publicArea = key.public_area};
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc = Esys_Load(context.esys(), parent.tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              &key.private_area, &public_area, &tr);
    const auto code = check_expecting(
        "Esys_Load", rc, {TPM2_RC_INTEGRITY, TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT});
    return {code == TSS2_RC_SUCCESS ? Handle::transient(context, tr) : Handle(), code};
}

Handle create_hierarchy_key(const StorageKeys& parents, TPM2_HANDLE hierarchy,
                            const TPM2B_PUBLIC& key_template) {
    try { // caught to name the hierarchy
        return parents.create_in(hierarchy, key_template);
    } catch (const Error& error) {
        if (error.tpm_rc() != TPM2_RC_HIERARCHY)
            throw;
        throw Error::from_tpm(Errc::tpm, TPM2_RC_HIERARCHY,
                              "the " + std::string(hierarchy_of(hierarchy).name) + " hierarchy is disabled",
                              hierarchy == TPM2_RH_PLATFORM
                                  ? "firmware closes it before the system starts; use endorsement or owner"
                                  : "the firmware settings, or tpm2_hierarchycontrol, can enable it");
    }
}

/// The template that a hierarchy's key was made from.
TPM2B_PUBLIC template_of(TPMT_PUBLIC area) {
    area.unique = {};
    return {.size = 0, .publicArea = area};
}

Error other_seed(TPM2_HANDLE hierarchy) {
    const auto name = std::string(hierarchy_of(hierarchy).name);
    return {Errc::foreign_key, "the TPM makes another key now: its " + name + " hierarchy has a new seed",
            std::string(hierarchy == TPM2_RH_NULL
                            ? "the null hierarchy's keys last until the next reset of the TPM; "
                            : "") +
                "for host keys, `ssh-tpm hostkeys --renew --hierarchy " + name +
                "`; for others, start the agent anew"};
}

} // namespace

Handle load_key(const Context& context, StorageKeys& parents, Parent& parent, const keyfile::KeyFile& key) {
    auto loaded = try_load(context, parent, key);
    if (!loaded.handle) {
        if (auto replacement = parents.replace_copy(parent, loaded.code)) {
            parent = std::move(*replacement);
            loaded = try_load(context, parent, key);
        }
    }
    parents.require_use(parent, "Esys_Load", loaded.code);
    check("Esys_Load", loaded.code);
    parents.accept(parent);
    return std::move(loaded.handle);
}

Handle PrimaryKeys::load(const Context& context, const StorageKeys& parents, const keyfile::KeyFile& key) {
    auto public_area = keyfile::marshal_public(key.public_area);
    if (auto restored = restore(context, public_area))
        return restored;
    auto made = create_hierarchy_key(parents, key.parent, template_of(key.public_area));
    if (!equal(keyfile::marshal_public(read_public(context, made.tr())), public_area))
        throw other_seed(key.parent);
    save(context, std::move(public_area), made.tr());
    return made;
}

keyfile::KeyFile PrimaryKeys::make(const Context& context, const StorageKeys& parents, TPM2_HANDLE hierarchy,
                                   const KeyAlgorithm& algorithm) {
    const auto key_template = hierarchy_key(algorithm, rsa_use(context, algorithm.type));
    const auto made = create_hierarchy_key(parents, hierarchy, key_template);
    keyfile::KeyFile key;
    key.kind = keyfile::KeyKind::primary;
    key.empty_auth = true;
    key.parent = hierarchy;
    key.public_area = read_public(context, made.tr());
    save(context, keyfile::marshal_public(key.public_area), made.tr());
    return key;
}

/// @returns empty if there is no context, or the TPM refuses it
Handle PrimaryKeys::restore(const Context& context, ByteView public_area) {
    const auto found = std::ranges::find_if(
        saved_, [&](const Saved& saved) { return equal(saved.public_area, public_area); });
    if (found == saved_.end())
        return {};
    ESYS_TR tr = ESYS_TR_NONE;
    const auto rc = Esys_ContextLoad(context.esys(), &found->context, &tr);
    // The TPM returns these codes for a context from before a reset, and for a hierarchy that is disabled
    // now: making the key again then reports the cause.
    const auto code = check_expecting("Esys_ContextLoad", rc,
                                      {TPM2_RC_INTEGRITY, TPM2_RC_HANDLE, TPM2_RC_SIZE, TPM2_RC_HIERARCHY});
    if (code == TSS2_RC_SUCCESS)
        return Handle::transient(context, tr);
    saved_.erase(found);
    return {};
}

void PrimaryKeys::save(const Context& context, Bytes public_area, ESYS_TR object) {
    TPMS_CONTEXT* out = nullptr;
    check("Esys_ContextSave", Esys_ContextSave(context.esys(), object, &out));
    const EsysOutput<TPMS_CONTEXT> owner(out);
    std::erase_if(saved_, [&](const Saved& saved) { return equal(saved.public_area, public_area); });
    saved_.push_back({.public_area = std::move(public_area), .context = *owner});
}

LoadedKeys::LoadedKeys(const Context& context, KnownTpms& known, const Auth& owner_password,
                       PrimaryKeys& primaries)
    : context_(context), primaries_(primaries), parents_(context, known, owner_password) {}

SignResult LoadedKeys::sign(const Key& key, const Auth& auth, TPMI_ALG_HASH hash, ByteView digest) {
    const auto handle = ready(key, auth != nullptr);
    const AuthInUse in_use(context_, handle, auth, &session_);
    if (auth)
        prepare_session(context_, session_, Encryption::none);
    const auto signature = sign_digest(context_, handle, key->public_area,
                                       auth ? session_.tr() : ESYS_TR_PASSWORD, hash, digest);
    keys_used_ = Clock::now();
    session_used_ = auth ? keys_used_ : session_used_;
    if (signature)
        return *signature;
    drop_session();
    return WrongAuth{};
}

CertifyResult LoadedKeys::certify(const Key& key, const Auth& auth, ESYS_TR attestation_key,
                                  ByteView qualifying_data) {
    const auto handle = ready(key, auth != nullptr);
    const AuthInUse in_use(context_, handle, auth, &session_);
    if (auth)
        prepare_session(context_, session_, Encryption::none);
    const auto data = tpm2b_of<TPM2B_DATA>(qualifying_data);
    constexpr TPMT_SIG_SCHEME own_scheme{.scheme = TPM2_ALG_NULL, .details = {}};
    TPM2B_ATTEST* attest = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    const auto rc =
        Esys_Certify(context_.esys(), handle, attestation_key, auth ? session_.tr() : ESYS_TR_PASSWORD,
                     ESYS_TR_PASSWORD, ESYS_TR_NONE, &data, &own_scheme, &attest, &signature);
    const EsysOutput<TPM2B_ATTEST> attest_owner(attest);
    const EsysOutput<TPMT_SIGNATURE> signature_owner(signature);
    keys_used_ = Clock::now();
    session_used_ = auth ? keys_used_ : session_used_;
    if (auth_was_accepted(context_, "Esys_Certify", rc))
        return Attested{copy_of(view_of(*attest)), *signature};
    drop_session();
    return WrongAuth{};
}

void LoadedKeys::make_ready(const Key& key) {
    ready(key, true);
    keys_used_ = session_used_ = Clock::now();
}

void LoadedKeys::try_loading(const Key& key) {
    ready(key, false);
    loaded_.erase(loaded_.begin());
}

void LoadedKeys::flush() noexcept {
    loaded_.clear();
    drop_session();
}

/// The number of a lost object may belong to another program by now; and in a session of another program the
/// right PIN would be counted as a wrong one.
void LoadedKeys::flush_remains() noexcept {
    for (auto& loaded : loaded_)
        if (!is_still_there(context_, loaded.handle))
            loaded.handle.abandon();
    if (session_ && !is_in_step(context_, session_))
        session_.abandon();
    flush();
}

void LoadedKeys::drop_session() noexcept {
    session_ = {};
    session_parent_.reset();
}

std::optional<LoadedKeys::Clock::time_point> LoadedKeys::rest(Clock::time_point since) noexcept {
    if (session_used_ <= since)
        drop_session();
    if (keys_used_ <= since)
        flush();
    if (loaded_.empty() && !session_)
        return std::nullopt;
    return session_ ? session_used_ : keys_used_;
}

void LoadedKeys::start_session(const keyfile::KeyFile& key, const Parent& parent) {
    parents_.accept(parent);
    drop_session(); // frees the slot for the new session
    session_ = start_hmac_session(context_, parent.tr);
    session_parent_ = parent_name(key);
}

bool LoadedKeys::has_session_for(const keyfile::KeyFile& key) const {
    return session_ && session_parent_ == parent_name(key);
}

/// Loads the key, puts it in front, and starts its session if needed.
ESYS_TR LoadedKeys::ready(const Key& key, bool with_session) {
    const auto found = std::ranges::find(loaded_, key, &Loaded::key);
    if (found == loaded_.end())
        load(key, with_session);
    else
        std::rotate(loaded_.begin(), found, found + 1);
    if (with_session && !has_session_for(*key)) {
        drop_session(); // opening the parent may need a session
        start_session(*key, parents_.open(*key));
    }
    return loaded_.front().handle.tr();
}

void LoadedKeys::load(const Key& key, bool with_session) {
    while (loaded_.size() >= capacity) { // frees a slot for the parent
        const bool was_there = loaded_.back().handle.flush();
        loaded_.pop_back();
        if (!was_there)
            flush_remains(); // more objects may be lost
    }
    if (parents_.opening_needs_session(*key))
        drop_session();
    if (key->kind == keyfile::KeyKind::primary) { // a primary key has no PIN and no parent
        hold(key, primaries_.load(context_, parents_, *key));
        return;
    }
    auto parent = parents_.open(*key);
    hold(key, load_key(context_, parents_, parent, *key));
    if (with_session && !has_session_for(*key))
        start_session(*key, parent); // now, while the parent is loaded
}

/// If another loaded key has the same number, the TPM was reset since: the new key would sign for it.
/// Flushing the old key would flush the new one, so the old keys are only forgotten.
void LoadedKeys::hold(const Key& key, Handle handle) {
    const auto number = handle.tpm_handle();
    if (std::ranges::any_of(loaded_,
                            [&](const Loaded& loaded) { return loaded.handle.tpm_handle() == number; })) {
        for (auto& loaded : loaded_)
            loaded.handle.abandon();
        session_.abandon();
        flush();
    }
    loaded_.insert(loaded_.begin(), Loaded{key, std::move(handle)});
}

} // namespace sshtpm::tpm
