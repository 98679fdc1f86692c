#include "tpm/session.hpp"

#include "base/traces.hpp"
#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm2b.hpp"

namespace sshtpm::tpm {

Handle start_hmac_session(const Context& context, ESYS_TR salt_key) {
    constexpr TPMT_SYM_DEF aes_128_cfb{
        .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
    ESYS_TR session = ESYS_TR_NONE;
    check("Esys_StartAuthSession", Esys_StartAuthSession(context.esys(), salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                                         ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_HMAC,
                                                         &aes_128_cfb, TPM2_ALG_SHA256, &session));
    return Handle::transient(context, session);
}

void prepare_session(const Context& context, const Handle& session, Encryption encryption) {
    TPMA_SESSION attributes = TPMA_SESSION_CONTINUESESSION;
    if (encryption == Encryption::command)
        attributes |= TPMA_SESSION_DECRYPT; // named from the TPM's side: it decrypts what we send
    check("Esys_TRSess_SetAttributes",
          Esys_TRSess_SetAttributes(context.esys(), session.tr(), attributes,
                                    TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT |
                                        TPMA_SESSION_ENCRYPT));
}

AuthInUse::AuthInUse(const Context& context, ESYS_TR object, const Auth& auth)
    : context_(context), object_(object), set_(auth != nullptr) {
    if (!set_)
        return;
    const Wiped<TPM2B_AUTH> value(tpm2b_of<TPM2B_AUTH>(auth->view()));
    check("Esys_TR_SetAuth", Esys_TR_SetAuth(context_.esys(), object_, value.get()));
}

AuthInUse::~AuthInUse() {
    if (!set_)
        return;
    // A full-size zero value first: ESYS copies the whole struct, so this overwrites what the last one left.
    const TPM2B_AUTH empty{};
    (void)Esys_TR_SetAuth(context_.esys(), object_, &empty);
    forget_traces();
}

} // namespace sshtpm::tpm
