// SPDX-License-Identifier: MIT
#include "tpm/session.hpp"

#include "tpm/rc.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sshtpm::tpm {

namespace {

/// Sends TPM2_GetRandom through the session. Its reply is encrypted, because a session must have a purpose
/// (TPM_RC_ATTRIBUTES). @returns the response code
TSS2_RC ask_through(const Context& context, const Handle& session) {
    constexpr UINT16 few = 8;
    check("Esys_TRSess_SetAttributes",
          Esys_TRSess_SetAttributes(context.esys(), session.tr(),
                                    TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT, 0xff));
    TPM2B_DIGEST* random = nullptr;
    const auto rc = Esys_GetRandom(context.esys(), session.tr(), ESYS_TR_NONE, ESYS_TR_NONE, few, &random);
    const EsysOutput<TPM2B_DIGEST> owner(random);
    return rc;
}

/// True for the codes of the TPM and of ESYS for an HMAC with another key, and for an unknown session.
bool is_out_of_step(TSS2_RC rc) noexcept {
    constexpr std::array codes{TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH,   TPM2_RC_HANDLE,
                               TPM2_RC_VALUE,     TPM2_RC_ATTRIBUTES, TSS2_RC{TSS2_ESYS_RC_RSP_AUTH_FAILED}};
    const auto code = base_code(rc);
    return remedy_for(rc) == Remedy::reload || std::ranges::find(codes, code) != codes.end();
}

Error garbled_start() {
    return Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE,
                           "the TPM's answer is garbled (TPM2_StartAuthSession)",
                           "try again; no PIN was used. If it stays so, look for what sits between this "
                           "program and the TPM (--tcti, SSH_TPM_TCTI)");
}

/// Overwrites the auth value that ESYS has left in the session: it copies the value behind the session's key,
/// and a memory scan would find a PIN there until the session's next command. So ESYS gets a command with
/// another auth value of 64 bytes. The command is not sent, because after the copying ESYS notices that the
/// session encrypts the reply twice; a TPM would refuse it for its handle. The bytes are not zeros: tpm2-tss
/// 4 removes zeros from the end of an auth value (iesys_strip_trailing_zeros).
/// @returns true if the auth value is overwritten
bool overwrite_session_value(ESYS_CONTEXT* esys, ESYS_TR session) noexcept {
    TPM2B_AUTH filler{};
    filler.size = sizeof filler.buffer;
    std::ranges::fill(filler.buffer, BYTE{0xff});
    const TPM2B_AUTH empty{};
    if (Esys_TRSess_SetAttributes(esys, session, TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT, 0xff) !=
            TSS2_RC_SUCCESS ||
        Esys_TR_SetAuth(esys, ESYS_TR_RH_NULL, &filler) != TSS2_RC_SUCCESS)
        return false;
    const auto rc = Esys_Unseal_Async(esys, ESYS_TR_RH_NULL, session, session, ESYS_TR_NONE);
    if (rc == TSS2_RC_SUCCESS)
        (void)Esys_Unseal_Finish(esys, nullptr);
    (void)Esys_TR_SetAuth(esys, ESYS_TR_RH_NULL, &empty);
    return rc == TSS2_ESYS_RC_MULTIPLE_ENCRYPT_SESSIONS;
}

/// Overwrites the part of this thread's stack that earlier calls have used. Without this, a memory scan finds
/// a PIN from ssh-tpm-add there.
__attribute__((noinline)) void wipe_stack() noexcept {
    std::array<std::uint8_t, std::size_t{64} * 1024> below;
    wipe(below);
}

} // namespace

Auth to_auth(Secret typed) {
    while (!typed.empty() && typed.view().back() == 0)
        typed.truncate(typed.size() - 1);
    if (typed.size() > max_pin)
        throw Error(Errc::usage, "the PIN is longer than " + std::to_string(max_pin) + " bytes",
                    "a TPM takes at most " + std::to_string(max_pin) + " bytes");
    if (typed.empty())
        return nullptr;
    // A copy, because `typed` may be the page of a long answer.
    auto auth = std::make_shared<const Secret>(Secret::copy_of(typed.view()));
    wipe_stack();
    return auth;
}

Handle start_hmac_session(const Context& context, ESYS_TR salt_key) {
    constexpr TPMT_SYM_DEF aes_128_cfb{
        .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
    ESYS_TR session = ESYS_TR_NONE;
    check("Esys_StartAuthSession", Esys_StartAuthSession(context.esys(), salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                                         ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_HMAC,
                                                         &aes_128_cfb, TPM2_ALG_SHA256, &session));
    auto started = Handle::transient(context, session);
    const auto rc = ask_through(context, started);
    if (is_out_of_step(rc)) {
        started.abandon(); // its number may be garbled, and belong to another program's session
        throw garbled_start();
    }
    check("Esys_GetRandom", rc);
    return started;
}

bool is_in_step(const Context& context, const Handle& session) noexcept {
    try { // caught because the caller needs no error
        return ask_through(context, session) == TSS2_RC_SUCCESS;
    } catch (const Error&) {
        return false;
    }
}

void prepare_session(const Context& context, const Handle& session, Encryption encryption) {
    TPMA_SESSION attributes = TPMA_SESSION_CONTINUESESSION;
    if (encryption == Encryption::command)
        attributes |= TPMA_SESSION_DECRYPT; // named from the TPM's side: the TPM decrypts the command
    check("Esys_TRSess_SetAttributes",
          Esys_TRSess_SetAttributes(context.esys(), session.tr(), attributes,
                                    TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT |
                                        TPMA_SESSION_ENCRYPT));
}

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
    // ESYS copies the whole struct, so this overwrites every byte of the last auth value.
    const TPM2B_AUTH empty{};
    (void)Esys_TR_SetAuth(context_.esys(), object_, &empty);
    if (kept_session_ != nullptr && *kept_session_ &&
        !overwrite_session_value(context_.esys(), kept_session_->tr()))
        *kept_session_ = {}; // ESYS frees it, and free() zeroes it; the next use starts a new session
}

} // namespace sshtpm::tpm
