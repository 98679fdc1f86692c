#include "tpm/create.hpp"

#include "tpm/capability.hpp"
#include "tpm/device.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

unsigned bits_of(const KeyAlgorithm& algorithm) {
    if (algorithm.type != TPM2_ALG_ECC)
        return algorithm.bits;
    return algorithm.curve == TPM2_ECC_NIST_P521 ? 521 : algorithm.curve == TPM2_ECC_NIST_P384 ? 384 : 256;
}

std::string describe(const KeyAlgorithm& algorithm) {
    return (algorithm.type == TPM2_ALG_ECC ? "ECDSA " : "RSA ") + std::to_string(bits_of(algorithm));
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

keyfile::KeyFile create_key(Device& device, const KeyAlgorithm& algorithm, const Auth& auth,
                            TPM2_HANDLE parent) {
    const auto& context = device.context();
    Wiped<TPM2B_SENSITIVE_CREATE> sensitive;
    if (auth)
        sensitive->sensitive.userAuth = tpm2b_of<TPM2B_AUTH>(auth->view());
    const auto in_public =
        signing_key(algorithm, auth ? DictionaryAttack::guarded : DictionaryAttack::exempt);

    device.keys().drop_session(); // this one has its own
    return with_retries(
        [&] {
            const auto storage_key = device.keys().parents().open_for_creation(parent);
            Handle session;
            if (auth) {
                session = start_hmac_session(context, storage_key.tr);
                prepare_session(context, session, Encryption::command);
            }
            const TPM2B_DATA no_outside_info{};
            const TPML_PCR_SELECTION no_pcrs{};
            TPM2B_PRIVATE* private_area = nullptr;
            TPM2B_PUBLIC* public_area = nullptr;
            const auto rc =
                Esys_Create(context.esys(), storage_key.tr, auth ? session.tr() : ESYS_TR_PASSWORD,
                            ESYS_TR_NONE, ESYS_TR_NONE, sensitive.get(), &in_public, &no_outside_info,
                            &no_pcrs, &private_area, &public_area, nullptr, nullptr, nullptr);
            const EsysOutput<TPM2B_PRIVATE> private_owner(private_area);
            const EsysOutput<TPM2B_PUBLIC> public_owner(public_area);
            if (check_expecting("Esys_Create", rc, {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH}) != TSS2_RC_SUCCESS)
                throw parent_password_error();

            keyfile::KeyFile key;
            key.empty_auth = auth == nullptr;
            key.parent = storage_key.named;
            key.public_area = public_owner->publicArea;
            key.private_area = *private_owner;
            return key;
        },
        [&](Remedy remedy) { device.keys().give_back(remedy); });
}

} // namespace sshtpm::tpm
