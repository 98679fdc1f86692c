#include "applets/tpm_options.hpp"

#include "os/environment.hpp"
#include "os/paths.hpp"

namespace sshtpm::applets {

void TpmOptions::add_to(std::vector<cli::Option>& options) {
    options.push_back(
        {.long_name = "tcti",
         .argument = "CONF",
         .help = "the TPM, as tpm2-tss names it, such as device:/dev/tpmrm0 (default; SSH_TPM_TCTI)",
         .apply = [this](char* conf) { tcti_ = conf; }});
    options.push_back({.long_name = "swtpm",
                       .help = "an emulator instead of the TPM, for trying things out (SSH_TPM_AGENT_SWTPM)",
                       .apply = [this](char*) { swtpm_ = true; }});
}

tpm::Target TpmOptions::target() const {
    return tpm::choose_target({.tcti_option = tcti_,
                               .tcti_variable = os::variable("SSH_TPM_TCTI"),
                               .swtpm_option = swtpm_,
                               .swtpm_variable = os::variable("SSH_TPM_AGENT_SWTPM"),
                               .default_emulator_state = os::emulator_state()});
}

} // namespace sshtpm::applets
