#include "tpm/capability.hpp"

#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

namespace {

/// TPM properties from `first` on, as many as the TPM gives at once.
EsysOutput<TPMS_CAPABILITY_DATA> properties_from(const Context& context, TPM2_PT first) {
    return with_retries([&] {
        TPMS_CAPABILITY_DATA* data = nullptr;
        TPMI_YES_NO more = TPM2_NO;
        check("Esys_GetCapability",
              Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 TPM2_CAP_TPM_PROPERTIES, first, TPM2_MAX_TPM_PROPERTIES, &more, &data));
        return EsysOutput<TPMS_CAPABILITY_DATA>(data);
    });
}

} // namespace

bool supports(const Context& context, const KeyAlgorithm& algorithm) {
    const auto area = signing_key(algorithm, DictionaryAttack::exempt).publicArea;
    const TPMT_PUBLIC_PARMS parameters{.type = area.type, .parameters = area.parameters};
    return with_retries([&] {
        const auto rc = Esys_TestParms(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);
        return check_expecting("Esys_TestParms", rc,
                               {TPM2_RC_CURVE, TPM2_RC_VALUE, TPM2_RC_KEY_SIZE, TPM2_RC_TYPE, TPM2_RC_SCHEME,
                                TPM2_RC_ASYMMETRIC, TPM2_RC_SIZE, TPM2_RC_RANGE}) == TSS2_RC_SUCCESS;
    });
}

std::vector<KeyAlgorithm> supported_algorithms(const Context& context) {
    std::vector<KeyAlgorithm> out;
    for (const auto& algorithm : usual_algorithms)
        if (supports(context, algorithm))
            out.push_back(algorithm);
    return out;
}

Lockout read_lockout(const Context& context) {
    Lockout lockout;
    const auto data = properties_from(context, TPM2_PT_VAR);
    const auto& list = data->data.tpmProperties;
    for (std::uint32_t i = 0; i < list.count && i < std::size(list.tpmProperty); ++i) {
        const auto value = list.tpmProperty[i].value;
        switch (list.tpmProperty[i].property) {
        case TPM2_PT_PERMANENT:
            lockout.active = (value & TPMA_PERMANENT_INLOCKOUT) != 0;
            lockout.password_set = (value & TPMA_PERMANENT_LOCKOUTAUTHSET) != 0;
            break;
        case TPM2_PT_LOCKOUT_COUNTER:
            lockout.failures = value;
            break;
        case TPM2_PT_MAX_AUTH_FAIL:
            lockout.max_failures = value;
            break;
        case TPM2_PT_LOCKOUT_INTERVAL:
            lockout.interval = value;
            break;
        case TPM2_PT_LOCKOUT_RECOVERY:
            lockout.recovery = value;
            break;
        default:
            break;
        }
    }
    return lockout;
}

} // namespace sshtpm::tpm
