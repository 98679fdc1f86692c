// SPDX-License-Identifier: MIT
// What one user of the emulator leaves to the next. All else about it is in test/scenario/emulator.py.

#include "tpm/emulator.hpp"

#include "support/test.hpp"
#include "tpm/context.hpp"
#include "tpm/storage_keys.hpp"
#include "tpm/templates.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;

namespace {

/// How many objects the TPM has loaded.
std::uint32_t loaded(const tpm::Context& context) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    TPMI_YES_NO more = TPM2_NO;
    REQUIRE(Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                               TPM2_TRANSIENT_FIRST, 1, &more, &data) == TSS2_RC_SUCCESS);
    const tpm::EsysOutput<TPMS_CAPABILITY_DATA> owner(data);
    return data->data.handles.count;
}

} // namespace

SCENARIO("what a user says that it may have left is flushed for the next one") {
    const TempFolder folder;
    tpm::Emulator emulator(folder.path() / "state");
    CHECK(emulator.begin_turn()); // it has just been started
    emulator.end_turn(true);
    const tpm::Context context(emulator.tcti());
    CHECK_FALSE(emulator.begin_turn());
    tpm::try_create_primary(context, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, tpm::ecc_storage_key()).abandon();
    emulator.end_turn(false);
    CHECK(emulator.begin_turn());
    CHECK(loaded(context) == 1);
    tpm::prepare_emulator(context);
    CHECK(loaded(context) == 0);
}
