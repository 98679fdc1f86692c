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

namespace {

/// ESYS puts the auth value behind the session's key and keeps both there until the next command. This one
/// puts 64 zero bytes into the place and is never sent: after that, ESYS finds that the session is to encrypt
/// the reply twice. Would another ESYS send it, the TPM would refuse it for its handle and change nothing.
/// @returns whether the auth value is gone.
bool overwrite_session_value(ESYS_CONTEXT* esys, ESYS_TR session) noexcept {
    TPM2B_AUTH zeros{};
    zeros.size = sizeof zeros.buffer;
    const TPM2B_AUTH empty{};
    if (Esys_TR_SetAuth(esys, ESYS_TR_RH_NULL, &zeros) != TSS2_RC_SUCCESS ||
        Esys_TRSess_SetAttributes(esys, session, TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT, 0xff) !=
            TSS2_RC_SUCCESS)
        return false;
    const auto rc = Esys_Unseal_Async(esys, ESYS_TR_RH_NULL, session, session, ESYS_TR_NONE);
    if (rc == TSS2_RC_SUCCESS)
        (void)Esys_Unseal_Finish(esys, nullptr);
    (void)Esys_TR_SetAuth(esys, ESYS_TR_RH_NULL, &empty);
    return rc == TSS2_ESYS_RC_MULTIPLE_ENCRYPT_SESSIONS;
}

} // namespace

AuthInUse::AuthInUse(const Context& context, ESYS_TR object, const Auth& auth, Handle* kept_session)
    : context_(context), object_(object), kept_session_(kept_session), set_(auth != nullptr) {
    if (!set_)
        return;
    const Wiped<TPM2B_AUTH> value(tpm2b_of<TPM2B_AUTH>(auth->view()));
    check("Esys_TR_SetAuth", Esys_TR_SetAuth(context_.esys(), object_, value.get()));
}

AuthInUse::~AuthInUse() {
    if (!set_)
        return;
    // ESYS copies the whole struct: this overwrites all of what the last one left.
    const TPM2B_AUTH empty{};
    (void)Esys_TR_SetAuth(context_.esys(), object_, &empty);
    if (kept_session_ != nullptr && *kept_session_ &&
        !overwrite_session_value(context_.esys(), kept_session_->tr()))
        *kept_session_ = {}; // ESYS frees it, and free() zeroes it; the next use starts another one
    forget_traces();
}

} // namespace sshtpm::tpm
