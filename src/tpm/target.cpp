#include "tpm/target.hpp"

#include "base/error.hpp"

namespace sshtpm::tpm {

Target choose_target(const TargetWishes& wishes) {
    constexpr const char* file = "known_tpms";
    // In its state folder: who throws the emulator's state away throws this away with it.
    const auto emulator = Target{.tcti = {},
                                 .emulator_state = wishes.default_emulator_state,
                                 .known_tpms = wishes.default_emulator_state / file};
    const auto chip = [&](const std::string& tcti) {
        const auto& folder = wishes.state_folder;
        return Target{.tcti = tcti,
                      .emulator_state = {},
                      .known_tpms = folder.empty() ? std::filesystem::path() : folder / file};
    };
    if (wishes.tcti_option && wishes.swtpm_option)
        throw Error(Errc::usage, "--tcti and --swtpm name two different TPMs");
    if (wishes.tcti_option)
        return chip(*wishes.tcti_option);
    if (wishes.swtpm_option)
        return emulator;
    if (wishes.tcti_variable && !wishes.tcti_variable->empty())
        return chip(*wishes.tcti_variable);
    if (wishes.swtpm_variable && !wishes.swtpm_variable->empty())
        return emulator;
    return chip("device:/dev/tpmrm0");
}

} // namespace sshtpm::tpm
