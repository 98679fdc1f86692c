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

TEST_CASE("empty variables say nothing") {
    const auto target =
        tpm::choose_target({.tcti_variable = "", .swtpm_variable = "", .default_emulator_state = "/state"});
    CHECK(target.tcti == "device:/dev/tpmrm0");
}

TEST_CASE("--tcti and --swtpm together are a usage error") {
    CHECK_THROWS_AS(tpm::choose_target({.tcti_option = "mssim:", .swtpm_option = true}), Error);
}
