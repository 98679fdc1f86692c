// SPDX-License-Identifier: MIT
#pragma once
// A bare ESYS context for the tests of the test support itself, which must not rest on the module that they
// serve.

#include "support/catch.hpp"

#include <string>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

namespace support::test {

class Esys {
  public:
    explicit Esys(const std::string& conf) {
        const TSS2_RC rc = Tss2_TctiLdr_Initialize(conf.c_str(), &tcti_);
        REQUIRE(rc == TSS2_RC_SUCCESS);
        REQUIRE(Esys_Initialize(&esys_, tcti_, nullptr) == TSS2_RC_SUCCESS);
    }
    Esys(const Esys&) = delete;
    Esys& operator=(const Esys&) = delete;
    ~Esys() {
        Esys_Finalize(&esys_);
        Tss2_TctiLdr_Finalize(&tcti_);
    }

    TSS2_RC random(UINT16 count) {
        TPM2B_DIGEST* bytes = nullptr;
        const TSS2_RC rc = Esys_GetRandom(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, count, &bytes);
        Esys_Free(bytes);
        return rc;
    }

    ESYS_TR hash_session() {
        constexpr TPMT_SYM_DEF no_encryption = {TPM2_ALG_NULL, {}, {}};
        ESYS_TR session = ESYS_TR_NONE;
        REQUIRE(Esys_StartAuthSession(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, nullptr, TPM2_SE_HMAC, &no_encryption, TPM2_ALG_SHA256,
                                      &session) == TSS2_RC_SUCCESS);
        return session;
    }

    ESYS_CONTEXT* operator*() const { return esys_; }

  private:
    TSS2_TCTI_CONTEXT* tcti_ = nullptr;
    ESYS_CONTEXT* esys_ = nullptr;
};

} // namespace support::test
