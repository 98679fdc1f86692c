#include "tpm/target.hpp"

#include "base/error.hpp"

namespace sshtpm::tpm {

Target choose_target(const TargetWishes& wishes) {
    const auto emulator = Target{.tcti = {}, .emulator_state = wishes.default_emulator_state};
    if (wishes.tcti_option && wishes.swtpm_option)
        throw Error(Errc::usage, "--tcti and --swtpm name two different TPMs");
    if (wishes.tcti_option)
        return {.tcti = *wishes.tcti_option, .emulator_state = {}};
    if (wishes.swtpm_option)
        return emulator;
    if (wishes.tcti_variable && !wishes.tcti_variable->empty())
        return {.tcti = *wishes.tcti_variable, .emulator_state = {}};
    if (wishes.swtpm_variable && !wishes.swtpm_variable->empty())
        return emulator;
    return {.tcti = "device:/dev/tpmrm0", .emulator_state = {}};
}

} // namespace sshtpm::tpm
