// SPDX-License-Identifier: MIT
// Deliberate leaks, loaded into the program by LD_PRELOAD: what the scans for secrets must find. Nothing of
// this is in the program. SSH_TPM_TEST_LEAK names the leak:
//
//     memory, hex     a copy of each auth value stays in memory, as it is or in hex
//     half            the first half of it stays in memory
//     bus             the auth value goes to the TPM in the clear
//     password        a signature is authorized by TPM2_RS_PW: the auth value is in the command
//     unsalted        sessions have no salt
//     log             the auth value is printed
//     strip           no leak, but ESYS cuts trailing zeros off auth values, as it does since tpm2-tss 4

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string_view>

#include <tss2/tss2_esys.h>

namespace {

bool leaks(std::string_view name) {
    const char* const chosen = std::getenv("SSH_TPM_TEST_LEAK");
    return chosen != nullptr && name == chosen;
}

/// The function that stands behind the one of this file.
template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::array<char, 2 * sizeof(TPM2B_AUTH) + 1> kept; // for the scan, for as long as the process lives
TPM2B_AUTH last;                                   // of the one that is passed to the bus; a moment's

} // namespace

#pragma GCC visibility push(default)
extern "C" {

TSS2_RC Esys_TR_SetAuth(ESYS_CONTEXT* esys, ESYS_TR object, const TPM2B_AUTH* auth) {
    if (auth != nullptr && auth->size > 0 && object != ESYS_TR_RH_NULL) {
        if (leaks("memory"))
            std::memcpy(kept.data(), auth->buffer, auth->size);
        if (leaks("half"))
            std::memcpy(kept.data(), auth->buffer, auth->size / 2U);
        for (unsigned i = 0; leaks("hex") && i < auth->size; ++i)
            std::snprintf(&kept.at(2 * i), 3, "%02x", auth->buffer[i]);
        if (leaks("log"))
            std::fprintf(stderr, "auth: %.*s\n", auth->size,
                         static_cast<const char*>(static_cast<const void*>(auth->buffer)));
        if (leaks("bus"))
            last = *auth;
    }
    if (auth != nullptr && leaks("strip")) {
        auto stripped = *auth;
        while (stripped.size > 0 && stripped.buffer[stripped.size - 1] == 0)
            --stripped.size;
        return next<decltype(Esys_TR_SetAuth)>("Esys_TR_SetAuth")(esys, object, &stripped);
    }
    return next<decltype(Esys_TR_SetAuth)>("Esys_TR_SetAuth")(esys, object, auth);
}

TSS2_RC Esys_Sign(ESYS_CONTEXT* esys, ESYS_TR key, ESYS_TR session, ESYS_TR session2, ESYS_TR session3,
                  const TPM2B_DIGEST* digest, const TPMT_SIG_SCHEME* scheme, const TPMT_TK_HASHCHECK* ticket,
                  TPMT_SIGNATURE** signature) {
    if (leaks("bus")) {
        TPM2B_SENSITIVE_DATA data{};
        data.size = last.size;
        std::memcpy(data.buffer, last.buffer, last.size);
        (void)Esys_StirRandom(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data);
        last = {};
    }
    return next<decltype(Esys_Sign)>("Esys_Sign")(esys, key, leaks("password") ? ESYS_TR_PASSWORD : session,
                                                  session2, session3, digest, scheme, ticket, signature);
}

TSS2_RC Esys_StartAuthSession(ESYS_CONTEXT* esys, ESYS_TR salt_key, ESYS_TR bind, ESYS_TR session,
                              ESYS_TR session2, ESYS_TR session3, const TPM2B_NONCE* nonce, TPM2_SE type,
                              const TPMT_SYM_DEF* symmetric, TPMI_ALG_HASH hash, ESYS_TR* started) {
    return next<decltype(Esys_StartAuthSession)>("Esys_StartAuthSession")(
        esys, leaks("unsalted") ? ESYS_TR_NONE : salt_key, bind, session, session2, session3, nonce, type,
        symmetric, hash, started);
}

} // extern "C"
#pragma GCC visibility pop
