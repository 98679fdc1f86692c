#include "tpm/primary.hpp"

#include "tpm/context.hpp"
#include "tpm/rc.hpp"

namespace sshtpm::tpm {

Handle create_primary(const Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template) {
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_outside_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    ESYS_TR tr = ESYS_TR_NONE;
    check("Esys_CreatePrimary", Esys_CreatePrimary(context.esys(), hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                                   ESYS_TR_NONE, &no_auth, &key_template, &no_outside_info,
                                                   &no_pcrs, &tr, nullptr, nullptr, nullptr, nullptr));
    return Handle::transient(context, tr);
}

} // namespace sshtpm::tpm
