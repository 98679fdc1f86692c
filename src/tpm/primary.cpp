#include "tpm/primary.hpp"

#include "tpm/context.hpp"
#include "tpm/rc.hpp"

namespace sshtpm::tpm {

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

Handle create_primary(const Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template) {
    auto primary = try_create_primary(context, hierarchy, ESYS_TR_PASSWORD, key_template);
    if (!primary)
        throw error_of("Esys_CreatePrimary", TPM2_RC_BAD_AUTH);
    return primary;
}

} // namespace sshtpm::tpm
