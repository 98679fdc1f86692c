#include "tpm/target.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"

using namespace sshtpm;
using tpm::TargetWishes;

TEST_CASE("a TPM is chosen by --tcti, --swtpm, SSH_TPM_TCTI and SSH_TPM_AGENT_SWTPM, in this order") {
    struct Row {
        TargetWishes wishes;
        std::string tcti, emulator_state;
    };
    const Row rows[] = {
        // Without any wish it is the kernel's resource manager, never the emulator; empty variables say
        // nothing.
        {{}, "device:/dev/tpmrm0", ""},
        {{.tcti_variable = "", .swtpm_variable = ""}, "device:/dev/tpmrm0", ""},
        {{.tcti_option = "swtpm:path=/x", .tcti_variable = "mssim:", .swtpm_variable = "1"},
         "swtpm:path=/x",
         ""},
        {{.tcti_variable = "mssim:", .swtpm_option = true}, "", "/state"},
        {{.tcti_variable = "mssim:", .swtpm_variable = "1"}, "mssim:", ""},
    };
    for (const auto& row : rows) {
        INFO("row " << &row - rows);
        auto wishes = row.wishes;
        wishes.default_emulator_state = "/state";
        const auto target = tpm::choose_target(wishes);
        CHECK(target.tcti == row.tcti);
        CHECK(target.emulator_state == row.emulator_state);
    }
}

TEST_CASE("what is known of a TPM is in the state folder, of an emulator beside its state") {
    const auto file = [](const TargetWishes& wishes) { return tpm::choose_target(wishes).known_tpms; };
    CHECK(file({.default_emulator_state = "/state/swtpm", .state_folder = "/state"}) == "/state/known_tpms");
    CHECK(file({.tcti_option = "mssim:", .state_folder = "/state"}) == "/state/known_tpms");
    CHECK(file({.tcti_variable = "mssim:", .state_folder = "/state"}) == "/state/known_tpms");
    CHECK(file({.tcti_variable = "mssim:"}).empty());
    for (const bool option : {false, true})
        CHECK(file({.swtpm_option = option,
                    .swtpm_variable = "1",
                    .default_emulator_state = "/state/swtpm",
                    .state_folder = "/state"}) == "/state/swtpm/known_tpms");
}

TEST_CASE("--tcti and --swtpm together are a usage error") {
    CHECK_THROWS_AS(tpm::choose_target({.tcti_option = "mssim:", .swtpm_option = true}), Error);
}
