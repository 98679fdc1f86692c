// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"
#include "support/test/esys.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>

using support::Swtpm;
using support::TctiLog;
using support::test::Esys;

namespace {

bool contains(const sshtpm::Bytes& all, std::initializer_list<std::uint8_t> part) {
    return std::search(all.begin(), all.end(), part.begin(), part.end()) != all.end();
}

TSS2_RC try_to_load(const std::string& conf) {
    TSS2_TCTI_CONTEXT* tcti = nullptr;
    const TSS2_RC rc = Tss2_TctiLdr_Initialize(conf.c_str(), &tcti);
    if (rc == TSS2_RC_SUCCESS)
        Tss2_TctiLdr_Finalize(&tcti);
    else
        std::free(tcti); // as src/tpm/transport.cpp does
    return rc;
}

} // namespace

TEST_CASE("each command of each user is a line, with its name or number and its response code") {
    const Swtpm swtpm;
    TctiLog log(swtpm.tcti());
    Esys a(log.tcti()), b(log.tcti());
    log.clear();

    REQUIRE(a.random(8) == TSS2_RC_SUCCESS);
    REQUIRE(b.random(8) == TSS2_RC_SUCCESS);
    const TPM2B_AUTH wrong = {1, {'x'}};
    REQUIRE(Esys_TR_SetAuth(*a, ESYS_TR_RH_OWNER, &wrong) == TSS2_RC_SUCCESS);
    Esys_HierarchyChangeAuth(*a, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &wrong);
    TPMS_TIME_INFO* time = nullptr;
    REQUIRE(Esys_ReadClock(*a, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time) == TSS2_RC_SUCCESS);
    Esys_Free(time);
    CHECK(log.lines() == std::vector<std::string>{"TPM2_GetRandom 0x00000000", "TPM2_GetRandom 0x00000000",
                                                  "TPM2_HierarchyChangeAuth 0x000009a2",
                                                  "0x00000181 0x00000000"});
    CHECK(log.count("TPM2_GetRandom") == 2);
}

TEST_CASE("a command that finds no TPM is logged with the code of the TCTI") {
    Swtpm swtpm;
    TctiLog log(swtpm.tcti());
    Esys esys(log.tcti());
    log.clear();

    swtpm.stop();
    CHECK(esys.random(8) != TSS2_RC_SUCCESS);
    REQUIRE(log.lines().size() == 1);
    CHECK_THAT(log.lines().front(), support::contains("TPM2_GetRandom 0x000a"));
}

TEST_CASE("the record holds the bytes of commands and responses") {
    const Swtpm swtpm;
    TctiLog log(swtpm.tcti());
    Esys esys(log.tcti());
    log.clear();

    const TPM2B_DATA seed = {4, {0xde, 0xad, 0xbe, 0xef}};
    TPM2B_SENSITIVE_DATA data = {};
    data.size = seed.size;
    std::copy_n(seed.buffer, seed.size, data.buffer);
    REQUIRE(Esys_StirRandom(*esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data) == TSS2_RC_SUCCESS);
    CHECK(contains(log.bus(), {0x00, 0x00, 0x01, 0x46, 0x00, 0x04, 0xde, 0xad, 0xbe, 0xef}));
    CHECK(contains(log.bus(), {0x80, 0x01, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00}));
}

TEST_CASE("the probe refuses a conf string that it does not understand") {
    const Swtpm swtpm;
    const std::string module = std::getenv("SSH_TPM_TCTI_PROBE");
    const std::string next = ",next=" + swtpm.tcti();
    REQUIRE(try_to_load(module + ":next=" + swtpm.tcti()) == TSS2_RC_SUCCESS);
    for (const std::string& conf :
         {std::string(), std::string(":log=/dev/null"), ":log=/dev/null/log" + next, ":logs=/dev/null" + next,
          std::string(":log=/dev/null,next=no-such-tcti")})
        CHECK(try_to_load(module + conf) != TSS2_RC_SUCCESS);
}
