// SPDX-License-Identifier: MIT
#include "tpm/rc.hpp"

#include "support/catch.hpp"

#include <tss2/tss2_tpm2_types.h>

using namespace sshtpm;

TEST_CASE("layer, session, handle and parameter numbers are taken off a TPM's response code") {
    for (const auto& [code, base] : std::vector<std::pair<TSS2_RC, TSS2_RC>>{
             {0x98E, TPM2_RC_AUTH_FAIL},    // session 1
             {0x9A2, TPM2_RC_BAD_AUTH},     // session 1
             {0x1DF, TPM2_RC_INTEGRITY},    // parameter 1
             {0xC01DF, TPM2_RC_INTEGRITY}}) // by way of a resource manager
        CHECK(tpm::base_code(code) == base);
    for (const TSS2_RC code : {TPM2_RC_LOCKOUT, TPM2_RC_RETRY, TPM2_RC_INITIALIZE, TSS2_RC_SUCCESS,
                               TSS2_ESYS_RC_BAD_SEQUENCE, TSS2_TCTI_RC_IO_ERROR})
        CHECK(tpm::base_code(code) == code);
}

TEST_CASE("a response code tells which parameter it is about") {
    CHECK(tpm::is_about_parameter(0x4D5, 4)); // TPM_RC_SIZE
    CHECK(tpm::is_about_parameter(0xC04D5, 4));
    CHECK_FALSE(tpm::is_about_parameter(0x3DF, 4));
    CHECK_FALSE(tpm::is_about_parameter(0x484, 4)); // of a handle
    CHECK_FALSE(tpm::is_about_parameter(0xC8E, 4)); // of a session
    CHECK_FALSE(tpm::is_about_parameter(TPM2_RC_FAILURE, 4));
    CHECK_FALSE(tpm::is_about_parameter(0xA04D5, 4)); // another layer's
    CHECK_FALSE(tpm::is_about_parameter(TSS2_RC_SUCCESS, 0));
}

TEST_CASE("an error names its cause, its call and a remedy") {
    const auto foreign = tpm::error_of("Esys_Load", 0x1DF);
    CHECK(foreign.code() == Errc::foreign_key);
    CHECK(foreign.tpm_rc() == TPM2_RC_INTEGRITY);
    CHECK_THAT(foreign.what(), support::contains("another TPM"));
    CHECK_THAT(foreign.what(), support::contains("Esys_Load"));
    CHECK_FALSE(foreign.hint().empty());

    CHECK(tpm::error_of("Esys_Sign", 0x98E).code() == Errc::auth);
    CHECK(tpm::error_of("Esys_Sign", 0x921).code() == Errc::lockout);
    CHECK(tpm::error_of("Esys_Sign", TSS2_TCTI_RC_IO_ERROR).code() == Errc::tpm);
}

TEST_CASE("an expected code is handed back, any other one is thrown") {
    CHECK(tpm::check_expecting("Esys_Sign", 0x98E, {TPM2_RC_AUTH_FAIL}) == TPM2_RC_AUTH_FAIL);
    CHECK(tpm::check_expecting("Esys_Sign", TSS2_RC_SUCCESS, {TPM2_RC_AUTH_FAIL}) == TSS2_RC_SUCCESS);
    CHECK_THROWS_AS(tpm::check_expecting("Esys_Sign", 0x9A2, {TPM2_RC_AUTH_FAIL}), Error);
    CHECK_NOTHROW(tpm::check("Esys_Sign", TSS2_RC_SUCCESS));
    CHECK_THROWS_AS(tpm::check("Esys_Sign", 0x98E), Error);
}

TEST_CASE("a busy TPM is waited for, a full one is given room, a lost handle is loaded anew") {
    for (const TSS2_RC code : {TPM2_RC_RETRY, TPM2_RC_TESTING, TPM2_RC_YIELDED, TSS2_RC{0xC0922}})
        CHECK(tpm::remedy_for(code) == tpm::Remedy::wait);
    for (const TSS2_RC code :
         {TPM2_RC_OBJECT_MEMORY, TPM2_RC_SESSION_MEMORY, TPM2_RC_CONTEXT_GAP, TPM2_RC_NV_RATE})
        CHECK(tpm::remedy_for(code) == tpm::Remedy::make_room);
    for (const TSS2_RC code :
         {TPM2_RC_REFERENCE_H0, TPM2_RC_REFERENCE_H6, TPM2_RC_REFERENCE_S0, TPM2_RC_REFERENCE_S6})
        CHECK(tpm::remedy_for(code) == tpm::Remedy::reload);
}

TEST_CASE("what is the request's own fault is not tried again") {
    for (const TSS2_RC code : {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT, TPM2_RC_INTEGRITY,
                               TSS2_RC{TSS2_TCTI_RC_IO_ERROR}, TSS2_RC_SUCCESS})
        CHECK(tpm::remedy_for(code) == tpm::Remedy::none);
}
