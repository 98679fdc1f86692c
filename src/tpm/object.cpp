#include "tpm/object.hpp"

#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

namespace {

Bytes bytes_of_name(const TPM2B_NAME& name) {
    if (name.size > sizeof name.name)
        throw Error(Errc::malformed, "a TPM name with a size field that lies");
    return copy_of({name.name, name.size});
}

} // namespace

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

bool is_still_there(const Context& context, const Handle& object) noexcept {
    try { // caught because whoever asks can only let it be
        return with_retries([&] {
            TPM2B_NAME* name = nullptr;
            check("Esys_ReadPublic", Esys_ReadPublic(context.esys(), object.tr(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                     ESYS_TR_NONE, nullptr, &name, nullptr));
            const EsysOutput<TPM2B_NAME> owner(name);
            return equal(bytes_of_name(*owner), name_of(context, object.tr()));
        });
    } catch (const Error&) {
        return false;
    }
}

Bytes name_of(const Context& context, ESYS_TR object) {
    TPM2B_NAME* name = nullptr;
    check("Esys_TR_GetName", Esys_TR_GetName(context.esys(), object, &name));
    const EsysOutput<TPM2B_NAME> owner(name);
    return bytes_of_name(*owner);
}

} // namespace sshtpm::tpm
