// SPDX-License-Identifier: MIT
#include "support/swtpm.hpp"

#include "support/catch.hpp"
#include "support/test/esys.hpp"

#include <cstdlib>
#include <filesystem>
#include <optional>

using support::Swtpm;
using support::test::Esys;

TEST_CASE(
    "a private swtpm answers as soon as it is made, has nothing in common with others and leaves no folder") {
    std::optional<Swtpm> a(std::in_place);
    const std::filesystem::path folder = a->folder();
    const Swtpm b;
    Esys(a->tcti()).hash_session();
    CHECK(a->loaded_handles() == 1);
    CHECK(b.loaded_handles() == 0);
    REQUIRE(std::filesystem::exists(folder / "socket"));
    a.reset();
    CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("loaded and saved sessions and transient objects are counted") {
    const Swtpm swtpm;
    Esys esys(swtpm.tcti());

    const ESYS_TR session = esys.hash_session();
    CHECK(swtpm.loaded_handles() == 1);
    TPMS_CONTEXT* saved = nullptr;
    REQUIRE(Esys_ContextSave(*esys, session, &saved) == TSS2_RC_SUCCESS);
    CHECK(swtpm.loaded_handles() == 1);

    ESYS_TR sequence = ESYS_TR_NONE;
    const TPM2B_AUTH no_auth = {};
    REQUIRE(Esys_HashSequenceStart(*esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, TPM2_ALG_SHA256,
                                   &sequence) == TSS2_RC_SUCCESS);
    CHECK(swtpm.loaded_handles() == 2);

    REQUIRE(Esys_FlushContext(*esys, sequence) == TSS2_RC_SUCCESS);
    ESYS_TR loaded = ESYS_TR_NONE;
    REQUIRE(Esys_ContextLoad(*esys, saved, &loaded) == TSS2_RC_SUCCESS);
    Esys_Free(saved);
    REQUIRE(Esys_FlushContext(*esys, loaded) == TSS2_RC_SUCCESS);
    CHECK(swtpm.loaded_handles() == 0);
}

TEST_CASE("a stopped swtpm refuses, and starts again with its state and without its handles") {
    Swtpm swtpm;
    const TPM2B_AUTH owner_auth = {3, {'o', 'w', 'n'}};
    {
        Esys esys(swtpm.tcti());
        esys.hash_session();
        REQUIRE(Esys_HierarchyChangeAuth(*esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, &owner_auth) == TSS2_RC_SUCCESS);
    }
    swtpm.stop();
    TSS2_TCTI_CONTEXT* none = nullptr;
    CHECK(Tss2_TctiLdr_Initialize(swtpm.tcti().c_str(), &none) != TSS2_RC_SUCCESS);
    std::free(none); // as src/tpm/transport.cpp does

    swtpm.start();
    CHECK(swtpm.loaded_handles() == 0);
    Esys esys(swtpm.tcti());
    const TPM2B_AUTH empty = {};
    CHECK(Esys_HierarchyChangeAuth(*esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &empty) != TSS2_RC_SUCCESS);
    REQUIRE(Esys_TR_SetAuth(*esys, ESYS_TR_RH_OWNER, &owner_auth) == TSS2_RC_SUCCESS);
    CHECK(Esys_HierarchyChangeAuth(*esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &empty) == TSS2_RC_SUCCESS);
}
