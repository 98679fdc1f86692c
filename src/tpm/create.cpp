// SPDX-License-Identifier: MIT
#include "tpm/create.hpp"

#include "base/log.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/names.hpp"
#include "keyfile/wrap.hpp"
#include "tpm/capability.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <iterator>

namespace sshtpm::tpm {

namespace {

TPM2B_ENCRYPTED_SECRET seed_of(const keyfile::KeyFile& importable) {
    const auto content = keyfile::content_of_tpm2b(importable.secret);
    TPM2B_ENCRYPTED_SECRET seed{};
    if (content.size() > std::size(seed.secret))
        throw Error(Errc::malformed, "a secret that is too long for its TPM structure");
    seed.size = static_cast<UINT16>(content.size());
    std::ranges::copy(content, seed.secret);
    return seed;
}

/// @returns nothing if the seed or the private area does not fit this parent
std::optional<TPM2B_PRIVATE> try_import(const Context& context, StorageKeys& parents, const Parent& parent,
                                        const keyfile::KeyFile& importable) {
    constexpr unsigned in_sym_seed = 4; // the parameter of TPM2_Import (TPM 2.0 Part 3, 13.3)
    const auto session = start_hmac_session(context, parent.tr);
    prepare_session(context, session, Encryption::command);
    const TPM2B_DATA no_inner_key{}; // the file format has no field for an inner wrapper
    const TPMT_SYM_DEF_OBJECT no_inner_wrapper{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
    const TPM2B_PUBLIC public_area{.size = 0, .publicArea = importable.public_area};
    const auto seed = seed_of(importable);
    TPM2B_PRIVATE* private_area = nullptr;
    const auto rc =
        Esys_Import(context.esys(), parent.tr, session.tr(), ESYS_TR_NONE, ESYS_TR_NONE, &no_inner_key,
                    &public_area, &importable.private_area, &seed, &no_inner_wrapper, &private_area);
    const EsysOutput<TPM2B_PRIVATE> owner(private_area);
    if (is_about_parameter(rc, in_sym_seed))
        return std::nullopt;
    const auto code = check_expecting(
        "Esys_Import", rc,
        {TPM2_RC_INTEGRITY, TPM2_RC_FAILURE, TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT});
    parents.require_use(parent, "Esys_Import", code);
    // libtpms returns this code for a seed that an RSA parent cannot decrypt. A TPM that has really failed
    // returns it for the next command too.
    if (code == TPM2_RC_FAILURE)
        (void)read_public(context, parent.tr);
    if (code != TSS2_RC_SUCCESS)
        return std::nullopt;
    return *owner;
}

/// For keys that are exempt from dictionary-attack protection, under a parent that is not.
void warn_of_guarded_parent(const Parent& parent, const keyfile::KeyFile& key) {
    if (!parent.exempt && !counts_wrong_pins(key))
        log::warning(
            "the parent ", keyfile::handle_name(parent.name.handle),
            " is not exempt from lockout (noDA): wrong PINs of other keys lock out this key too; keys "
            "without a PIN are safe from that under --parent-handle owner");
}

/// Writes the parent that accepted the key into its file.
void name_parent(const Parent& parent, keyfile::KeyFile& key) {
    key.parent = parent.name.handle;
    key.rsa_parent = parent.name.rsa;
}

} // namespace

keyfile::KeyFile create_key(Tpm& tpm, const KeyAlgorithm& algorithm, const Auth& auth, TPM2_HANDLE parent) {
    const auto& context = tpm.context();
    tpm.keys().drop_session(); // this function starts a session of its own
    auto& parents = tpm.keys().parents();
    const auto storage_key = parents.open_for_creation({.handle = parent});
    Handle session;
    Wiped<TPM2B_SENSITIVE_CREATE> sensitive;
    if (auth) {
        session = start_hmac_session(context, storage_key.tr);
        prepare_session(context, session, Encryption::command);
        sensitive->sensitive.userAuth = tpm2b_of<TPM2B_AUTH>(auth->view());
    }
    const auto in_public = signing_key(algorithm, auth ? DictionaryAttack::guarded : DictionaryAttack::exempt,
                                       rsa_use(context, algorithm.type));
    const TPM2B_DATA no_outside_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    TPM2B_PRIVATE* private_area = nullptr;
    TPM2B_PUBLIC* public_area = nullptr;
    const auto rc = Esys_Create(context.esys(), storage_key.tr, auth ? session.tr() : ESYS_TR_PASSWORD,
                                ESYS_TR_NONE, ESYS_TR_NONE, sensitive.get(), &in_public, &no_outside_info,
                                &no_pcrs, &private_area, &public_area, nullptr, nullptr, nullptr);
    const EsysOutput<TPM2B_PRIVATE> private_owner(private_area);
    const EsysOutput<TPM2B_PUBLIC> public_owner(public_area);
    parents.require_use(
        storage_key, "Esys_Create",
        check_expecting("Esys_Create", rc, {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT}));
    parents.accept(storage_key);

    keyfile::KeyFile key;
    key.empty_auth = auth == nullptr;
    name_parent(storage_key, key);
    key.public_area = public_owner->publicArea;
    key.private_area = *private_owner;
    warn_of_guarded_parent(storage_key, key);
    return key;
}

keyfile::KeyFile make_primary_key(Tpm& tpm, TPM2_HANDLE hierarchy, const KeyAlgorithm& algorithm) {
    auto& keys = tpm.keys();
    keys.drop_session(); // the owner password gets a session of its own
    return keys.primaries().make(tpm.context(), keys.parents(), hierarchy, algorithm);
}

keyfile::KeyFile import_key(Tpm& tpm, const keyfile::KeyFile& importable) {
    if (importable.kind != keyfile::KeyKind::importable)
        throw Error(Errc::unsupported, "a key that is not wrapped for import");
    tpm.keys().drop_session(); // the import starts a session of its own
    auto& parents = tpm.keys().parents();
    // A file that names the owner may be wrapped for its standard storage key or for another one at
    // 0x81000001. The new file names the parent that took the key.
    const bool for_owner = importable.parent == TPM2_RH_OWNER;
    auto parent = for_owner ? parents.open_for_creation(parent_name(importable)) : parents.open(importable);
    auto private_area = try_import(tpm.context(), parents, parent, importable);
    if (!private_area && for_owner)
        if (auto other = parents.open_other_at_srk_handle(parent)) {
            parent = std::move(*other);
            private_area = try_import(tpm.context(), parents, parent, importable);
        }
    if (!private_area)
        throw Error(Errc::foreign_key, "this key was wrapped for another TPM's parent",
                    "wrap it again with what this machine says of its storage key: " +
                        std::string(keyfile::parent_command));
    // Only now, because the session of try_import carries no PIN.
    parents.accept(parent);
    auto key = importable;
    key.kind = keyfile::KeyKind::loadable;
    key.secret.clear();
    name_parent(parent, key);
    key.private_area = *private_area;
    warn_of_guarded_parent(parent, key);
    return key;
}

TPMT_PUBLIC storage_key_area(Tpm& tpm, TPM2_HANDLE parent) {
    tpm.keys().drop_session(); // the owner password gets a session of its own
    auto area = read_public(tpm.context(), tpm.keys().parents().open_for_creation({.handle = parent}).tr);
    try { // caught to name a parent that works
        keyfile::require_storage_key(area);
    } catch (const Error& error) {
        throw Error(error.code(), error.what(),
                    "no key can be imported under this parent: use --parent-handle owner");
    }
    return area;
}

std::optional<keyfile::KeyFile> change_auth(Tpm& tpm, const keyfile::KeyFile& key, const Auth& old_auth,
                                            const Auth& new_auth) {
    if ((key.public_area.objectAttributes & TPMA_OBJECT_ADMINWITHPOLICY) != 0)
        throw Error(Errc::unsupported,
                    "the PIN of this key can be changed only under a policy (adminWithPolicy)");
    const auto& context = tpm.context();
    Wiped<TPM2B_AUTH> new_value;
    if (new_auth)
        *new_value = tpm2b_of<TPM2B_AUTH>(new_auth->view());

    tpm.keys().drop_session(); // this function starts a session of its own
    auto& parents = tpm.keys().parents();
    auto parent = parents.open(key);
    const auto object = load_key(context, parents, parent, key);
    const auto session = start_hmac_session(context, parent.tr);
    prepare_session(context, session, Encryption::command);
    const AuthInUse in_use(context, object.tr(), old_auth);
    TPM2B_PRIVATE* private_area = nullptr;
    const auto rc = Esys_ObjectChangeAuth(context.esys(), object.tr(), parent.tr, session.tr(), ESYS_TR_NONE,
                                          ESYS_TR_NONE, new_value.get(), &private_area);
    const EsysOutput<TPM2B_PRIVATE> owner(private_area);
    if (!auth_was_accepted(context, "Esys_ObjectChangeAuth", rc))
        return std::nullopt;
    auto changed = key;
    changed.private_area = *owner;
    changed.empty_auth = new_auth == nullptr;
    return changed;
}

} // namespace sshtpm::tpm
