#include "tpm/object.hpp"

#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

Handle look_up(const Context& context, TPM2_HANDLE handle) {
    return with_retries([&]() -> Handle {
        ESYS_TR tr = ESYS_TR_NONE;
        const auto rc =
            Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
        if (check_expecting("Esys_TR_FromTPMPublic", rc, {TPM2_RC_HANDLE, TPM2_RC_VALUE}) != TSS2_RC_SUCCESS)
            return {};
        return Handle::persistent(context, tr);
    });
}

TPMT_PUBLIC read_public(const Context& context, ESYS_TR object) {
    return with_retries([&] {
        TPM2B_PUBLIC* area = nullptr;
        check("Esys_ReadPublic", Esys_ReadPublic(context.esys(), object, ESYS_TR_NONE, ESYS_TR_NONE,
                                                 ESYS_TR_NONE, &area, nullptr, nullptr));
        const EsysOutput<TPM2B_PUBLIC> owner(area);
        return owner->publicArea;
    });
}

Bytes name_of(const Context& context, ESYS_TR object) {
    TPM2B_NAME* name = nullptr;
    check("Esys_TR_GetName", Esys_TR_GetName(context.esys(), object, &name));
    const EsysOutput<TPM2B_NAME> owner(name);
    if (owner->size > sizeof owner->name)
        throw Error(Errc::malformed, "a TPM name with a size field that lies");
    return copy_of({owner->name, owner->size});
}

} // namespace sshtpm::tpm
