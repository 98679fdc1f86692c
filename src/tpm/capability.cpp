// SPDX-License-Identifier: MIT
#include "tpm/capability.hpp"

#include "keyfile/usable.hpp"
#include "tpm/rc.hpp"

#include <algorithm>
#include <iterator>

namespace sshtpm::tpm {

namespace {

/// Asks the TPM for the first algorithm from this one on (TPM_CAP_ALGS, TPM 2.0 Part 3, 30.2).
bool has_hash(const Context& context, TPMI_ALG_HASH hash) {
    const auto data = read_capability(context, TPM2_CAP_ALGS, hash, 1);
    const auto& list = data->data.algorithms;
    return list.count > 0 && list.algProperties[0].alg == hash;
}

} // namespace

bool supports(const Context& context, const KeyAlgorithm& algorithm) {
    const auto area = signing_key(algorithm, DictionaryAttack::exempt).publicArea;
    const TPMT_PUBLIC_PARMS parameters{.type = area.type, .parameters = area.parameters};
    const auto rc = Esys_TestParms(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);
    const auto code = check_expecting("Esys_TestParms", rc,
                                      {TPM2_RC_CURVE, TPM2_RC_VALUE, TPM2_RC_KEY_SIZE, TPM2_RC_TYPE,
                                       TPM2_RC_SCHEME, TPM2_RC_ASYMMETRIC, TPM2_RC_SIZE, TPM2_RC_RANGE});
    return code == TSS2_RC_SUCCESS &&
           (algorithm.type == TPM2_ALG_RSA || has_hash(context, keyfile::signature_hash(algorithm.curve)));
}

RsaUse rsa_use(const Context& context, TPMI_ALG_PUBLIC type) {
    return type == TPM2_ALG_RSA && !has_hash(context, TPM2_ALG_SHA512) ? RsaUse::sign_and_decrypt
                                                                       : RsaUse::sign;
}

void require_support(const Context& context, const KeyAlgorithm& algorithm) {
    if (supports(context, algorithm))
        return;
    std::string available;
    for (const auto& other : supported_algorithms(context))
        available += (available.empty() ? "" : ", ") + describe(other);
    throw Error(Errc::unsupported, "this TPM cannot make " + describe(algorithm) + " keys",
                "it has " + (available.empty() ? "no key type that SSH can use" : available));
}

std::vector<KeyAlgorithm> supported_algorithms(const Context& context) {
    std::vector<KeyAlgorithm> out;
    std::ranges::copy_if(usual_algorithms, std::back_inserter(out),
                         [&](const KeyAlgorithm& algorithm) { return supports(context, algorithm); });
    return out;
}

unsigned bits_of(const KeyAlgorithm& algorithm) {
    if (algorithm.type != TPM2_ALG_ECC)
        return algorithm.bits;
    return algorithm.curve == TPM2_ECC_NIST_P521 ? 521 : algorithm.curve == TPM2_ECC_NIST_P384 ? 384 : 256;
}

std::string describe(const KeyAlgorithm& algorithm) {
    return (algorithm.type == TPM2_ALG_ECC ? "ECDSA " : "RSA ") + std::to_string(bits_of(algorithm));
}

EsysOutput<TPMS_CAPABILITY_DATA> read_capability(const Context& context, TPM2_CAP capability, UINT32 first,
                                                 UINT32 most) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = TPM2_NO;
    check("Esys_GetCapability", Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                   capability, first, most, &more, &data));
    return EsysOutput<TPMS_CAPABILITY_DATA>(data);
}

} // namespace sshtpm::tpm
