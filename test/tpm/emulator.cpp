// What one user of the emulator leaves to the next. All else about it is in test/scenario/emulator.py.

#include "tpm/emulator.hpp"

#include "support/test.hpp"
#include "tpm/primary.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm2b.hpp"

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
    const auto emulator = tpm::Emulator::join(folder.path() / "state");
    const tpm::Context context(emulator.tcti());
    {
        const auto turn = emulator.take_turn();
        tpm::create_primary(context, ESYS_TR_RH_OWNER, tpm::ecc_storage_key()).abandon();
    }
    {
        auto turn = emulator.take_turn(); // nobody said so
        CHECK(loaded(context) == 1);
        turn.leave_uncleared();
    }
    const auto turn = emulator.take_turn();
    CHECK(loaded(context) == 0);
}
