#include "tpm/import.hpp"

#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"
#include "tpm/device.hpp"
#include "tpm/object.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace sshtpm::tpm {

namespace {

constexpr unsigned in_sym_seed = 4; ///< the parameter of TPM2_Import (TPM 2.0 Part 3, 13.3)

TPM2B_ENCRYPTED_SECRET seed_of(const keyfile::KeyFile& importable) {
    const auto content = keyfile::content_of_tpm2b(importable.secret);
    TPM2B_ENCRYPTED_SECRET seed{};
    if (content.size() > std::size(seed.secret))
        throw Error(Errc::malformed, "a secret that is too long for its TPM structure");
    seed.size = static_cast<UINT16>(content.size());
    std::ranges::copy(content, seed.secret);
    return seed;
}

/// Nothing when the seed or the private area does not fit this parent.
std::optional<TPM2B_PRIVATE> try_import(const Context& context, const Parent& parent,
                                        const keyfile::KeyFile& importable) {
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
        "Esys_Import", rc, {TPM2_RC_INTEGRITY, TPM2_RC_FAILURE, TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH});
    if (code == TPM2_RC_AUTH_FAIL || code == TPM2_RC_BAD_AUTH)
        throw parent_password_error();
    // libtpms says so of a seed that an RSA parent cannot decrypt. A TPM that has really failed says it
    // again.
    if (code == TPM2_RC_FAILURE)
        (void)read_public(context, parent.tr);
    if (code != TSS2_RC_SUCCESS)
        return std::nullopt;
    return *owner;
}

keyfile::KeyFile imported(const Context& context, Parents& parents, const keyfile::KeyFile& importable) {
    // Such a file says little of its parent: it may be wrapped for any key at 0x81000001, and the standard
    // one is made to tell. The new file names the parent that took the key.
    const bool for_standard = importable.parent == TPM2_RH_OWNER && !importable.rsa_parent;
    auto parent = for_standard ? parents.open_for_creation(TPM2_RH_OWNER) : parents.open(importable);
    auto private_area = try_import(context, parent, importable);
    if (!private_area && for_standard)
        if (auto other = parents.open_other_at_srk_handle(parent)) {
            parent = std::move(*other);
            private_area = try_import(context, parent, importable);
        }
    if (private_area) {
        // The session in try_import came before this: there is no PIN, and nothing that it encrypts.
        parents.accept(parent);
        auto key = importable;
        key.kind = keyfile::KeyKind::loadable;
        key.secret.clear();
        key.parent = parent.named;
        key.private_area = *private_area;
        return key;
    }
    throw Error(Errc::foreign_key, "this key was wrapped for another TPM's parent",
                "wrap it again with what this machine says of its storage key: " +
                    std::string(keyfile::parent_command));
}

} // namespace

keyfile::KeyFile import_key(Device& device, const keyfile::KeyFile& importable) {
    if (importable.kind != keyfile::KeyKind::importable)
        throw Error(Errc::unsupported, "a key that is not wrapped for import");
    device.keys().drop_session(); // the import has its own
    return with_retries([&] { return imported(device.context(), device.keys().parents(), importable); },
                        [&](Remedy remedy) { device.keys().give_back(remedy); });
}

TPMT_PUBLIC storage_key_area(Device& device, TPM2_HANDLE parent) {
    device.keys().drop_session(); // the owner password has its own
    return with_retries(
        [&] {
            const auto storage_key = device.keys().parents().open_for_creation(parent);
            return read_public(device.context(), storage_key.tr);
        },
        [&](Remedy remedy) { device.keys().give_back(remedy); });
}

} // namespace sshtpm::tpm
