#include "tpm/target.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"

using namespace sshtpm;
using tpm::TargetWishes;

TEST_CASE("without any wish it is the kernel's resource manager, never the emulator") {
    const auto target = tpm::choose_target({.default_emulator_state = "/state"});
    CHECK(target.tcti == "device:/dev/tpmrm0");
    CHECK(target.emulator_state.empty());
}

TEST_CASE("--tcti wins over every variable") {
    const auto target = tpm::choose_target({.tcti_option = "swtpm:path=/x",
                                            .tcti_variable = "mssim:",
                                            .swtpm_variable = "1",
                                            .default_emulator_state = "/state"});
    CHECK(target.tcti == "swtpm:path=/x");
    CHECK(target.emulator_state.empty());
}

TEST_CASE("--swtpm wins over SSH_TPM_TCTI") {
    const auto target = tpm::choose_target(
        {.tcti_variable = "mssim:", .swtpm_option = true, .default_emulator_state = "/state"});
    CHECK(target.emulator_state == "/state");
}

TEST_CASE("SSH_TPM_TCTI wins over SSH_TPM_AGENT_SWTPM") {
    const auto target = tpm::choose_target(
        {.tcti_variable = "mssim:", .swtpm_variable = "1", .default_emulator_state = "/state"});
    CHECK(target.tcti == "mssim:");
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

TEST_CASE("empty variables say nothing") {
    const auto target =
        tpm::choose_target({.tcti_variable = "", .swtpm_variable = "", .default_emulator_state = "/state"});
    CHECK(target.tcti == "device:/dev/tpmrm0");
}

TEST_CASE("--tcti and --swtpm together are a usage error") {
    CHECK_THROWS_AS(tpm::choose_target({.tcti_option = "mssim:", .swtpm_option = true}), Error);
}
