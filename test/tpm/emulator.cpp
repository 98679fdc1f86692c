#include "tpm/emulator.hpp"

#include "base/error.hpp"
#include "lab.hpp"
#include "support/test.hpp"
#include "tpm/primary.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm2b.hpp"

#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace sshtpm;
using namespace support;
using namespace tpm_test;

namespace {

bool signs_in_turn(tpm::Device& device, const SharedKey& key) {
    const auto turn = device.take_turn();
    return signs(device, key);
}

SharedKey make_in_turn(tpm::Device& device) {
    const auto turn = device.take_turn();
    return make(device);
}

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

SCENARIO("several users share one emulator, and its keys survive them") {
    const TempFolder folder;
    // A name that would not fit into a socket's address.
    const tpm::Target target{.tcti = {}, .emulator_state = folder.path() / std::string(150, 'x') / "state"};
    SharedKey key;
    {
        tpm::Device first(target), second(target);
        key = make_in_turn(first);
        CHECK(signs_in_turn(second, key));
        CHECK(signs_in_turn(first, key));
    }
    tpm::Device later(target);
    CHECK(signs_in_turn(later, key));
}

SCENARIO("a user that is stopped in its turn is waited for no longer than that, and named") {
    const TempFolder folder;
    const auto emulator = tpm::Emulator::join(folder.path() / "state");
    {
        const auto held = emulator.take_turn();
        const auto error = thrown([&] { const auto turn = emulator.take_turn(std::chrono::seconds(0)); });
        CHECK(error.code() == Errc::tpm);
        CHECK_THAT(error.what(), contains("(pid " + std::to_string(::getpid()) + ")"));
        CHECK_THAT(error.what(), contains("has kept the emulator to itself for 0 s"));
        CHECK_THAT(error.hint(), contains("fuser -v " + (folder.path() / "state").string()));
    }
    const auto turn = emulator.take_turn(std::chrono::seconds(0));
}

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

SCENARIO("users that start at once do not fight") {
    const TempFolder folder;
    const tpm::Target target{.tcti = {}, .emulator_state = folder.path() / "state"};
    std::vector<std::thread> users;
    std::vector<int> good(4, 0);
    for (auto& each : good)
        users.emplace_back([&each, &target] {
            try {
                tpm::Device device(target);
                each = signs_in_turn(device, make_in_turn(device)) ? 1 : 0;
            } catch (const std::exception&) { // told by the value, on the test's own thread
                each = 0;
            }
        });
    for (auto& user : users)
        user.join();
    CHECK(good == std::vector<int>(4, 1));
}

SCENARIO("the state folder is for its owner alone") {
    const TempFolder folder;
    const auto state = folder.path() / "state";
    const auto emulator = tpm::Emulator::join(state);
    CHECK(std::filesystem::status(state).permissions() == std::filesystem::perms::owner_all);
}

SCENARIO("a state folder that cannot be is an error") {
    const TempFolder folder;
    std::ofstream(folder / "file") << "no folder";
    CHECK_THROWS_AS(tpm::Emulator::join(folder.path() / "file" / "state"), Error);
}
