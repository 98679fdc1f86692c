#include "tpm/change_auth.hpp"

#include "tpm/device.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

namespace {

/// @returns nothing when the TPM refused the auth value that is set on `object`.
std::optional<TPM2B_PRIVATE> try_change(const Context& context, ESYS_TR object, ESYS_TR parent,
                                        const Handle& session, const TPM2B_AUTH& new_auth) {
    TPM2B_PRIVATE* private_area = nullptr;
    const auto rc = Esys_ObjectChangeAuth(context.esys(), object, parent, session.tr(), ESYS_TR_NONE,
                                          ESYS_TR_NONE, &new_auth, &private_area);
    const EsysOutput<TPM2B_PRIVATE> owner(private_area);
    const auto code =
        check_expecting("Esys_ObjectChangeAuth", rc, {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT});
    if (code == TPM2_RC_LOCKOUT)
        throw lockout_error(context, "Esys_ObjectChangeAuth");
    if (code != TSS2_RC_SUCCESS)
        return std::nullopt;
    return *owner;
}

} // namespace

std::optional<keyfile::KeyFile> change_auth(Device& device, const keyfile::KeyFile& key, const Auth& old_auth,
                                            const Auth& new_auth) {
    if ((key.public_area.objectAttributes & TPMA_OBJECT_ADMINWITHPOLICY) != 0)
        throw Error(Errc::unsupported, "a key whose PIN can be changed under a policy only: its "
                                       "adminWithPolicy attribute is set");
    const auto& context = device.context();
    Wiped<TPM2B_AUTH> new_value;
    if (new_auth)
        *new_value = tpm2b_of<TPM2B_AUTH>(new_auth->view());

    device.keys().drop_session(); // this one has its own
    const auto private_area = with_retries(
        [&] {
            auto& parents = device.keys().parents();
            auto parent = parents.open(key);
            const auto object = load_key(context, parents, parent, key);
            const auto session = start_hmac_session(context, parent.tr);
            prepare_session(context, session, Encryption::command);
            const AuthInUse in_use(context, object.tr(), old_auth);
            return try_change(context, object.tr(), parent.tr, session, *new_value);
        },
        [&](Remedy remedy) { device.keys().give_back(remedy); });
    if (!private_area)
        return std::nullopt;
    auto changed = key;
    changed.private_area = *private_area;
    changed.empty_auth = new_auth == nullptr;
    return changed;
}

} // namespace sshtpm::tpm
