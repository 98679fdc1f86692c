#include "tpm/provision.hpp"

#include "tpm/context.hpp"
#include "tpm/primary.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm2b.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

namespace sshtpm::tpm {

namespace {

std::vector<TPM2_HANDLE> handles_from(const Context& context, TPM2_HANDLE first) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = TPM2_NO;
    check("Esys_GetCapability",
          Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                             first, TPM2_MAX_CAP_HANDLES, &more, &data));
    const EsysOutput<TPMS_CAPABILITY_DATA> owner(data);
    const auto& list = owner->data.handles;
    const auto count = std::min<std::size_t>(list.count, std::size(list.handle));
    return {list.handle, list.handle + count};
}

void flush_all(const Context& context, TPM2_HANDLE first) {
    for (const auto handle : handles_from(context, first)) {
        ESYS_TR tr = ESYS_TR_NONE;
        check("Esys_TR_FromTPMPublic",
              Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr));
        check("Esys_FlushContext", Esys_FlushContext(context.esys(), tr));
    }
}

void make_storage_key(const Context& context) {
    for (const auto handle : handles_from(context, TPM2_PERSISTENT_FIRST))
        if (handle == srk_handle)
            return;
    const auto primary = create_primary(context, ESYS_TR_RH_OWNER, ecc_storage_key());
    ESYS_TR tr = ESYS_TR_NONE;
    check("Esys_EvictControl",
          Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, primary.tr(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, srk_handle, &tr));
    const auto persistent = Handle::persistent(context, tr);
}

} // namespace

void start_up(const Context& context) {
    check_expecting("Esys_Startup", Esys_Startup(context.esys(), TPM2_SU_CLEAR), {TPM2_RC_INITIALIZE});
}

void provision(const Context& context) {
    with_retries([&] { make_storage_key(context); });
}

void flush_leftovers(const Context& context) {
    with_retries([&] {
        start_up(context); // if it was reset meanwhile
        flush_all(context, TPM2_TRANSIENT_FIRST);
        flush_all(context, TPM2_LOADED_SESSION_FIRST);
    });
}

} // namespace sshtpm::tpm
