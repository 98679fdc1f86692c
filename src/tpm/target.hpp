#pragma once
// Which TPM a program uses.

#include <filesystem>
#include <optional>
#include <string>

namespace sshtpm::tpm {

struct Target {
    std::string tcti;                     ///< a TCTI loader string; unused with an emulator
    std::filesystem::path emulator_state; ///< not empty: the emulator with its state in this folder
    std::filesystem::path known_tpms =
        {}; ///< where the Names of storage keys are kept (KnownTpms); may be empty
};

/// What options and environment say about it; empty where they say nothing.
struct TargetWishes {
    std::optional<std::string> tcti_option = {};       ///< --tcti
    std::optional<std::string> tcti_variable = {};     ///< SSH_TPM_TCTI
    bool swtpm_option = false;                         ///< --swtpm
    std::optional<std::string> swtpm_variable = {};    ///< SSH_TPM_AGENT_SWTPM; only a non-empty one counts
    std::filesystem::path default_emulator_state = {}; ///< where --swtpm keeps its state
    std::filesystem::path state_folder = {}; ///< for what is to be kept about a TPM; empty for nothing
};

/// A TCTI string first, the emulator next, /dev/tpmrm0 otherwise: never the emulator by itself. Of an option
/// and a variable the option wins, so --swtpm beats SSH_TPM_TCTI.
/// @throws Error(usage) when --tcti and --swtpm are both there.
Target choose_target(const TargetWishes& wishes);

} // namespace sshtpm::tpm
