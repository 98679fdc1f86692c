#include "tpm/command_deadline.hpp"

#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sshtpm::tpm {

namespace {

using namespace std::chrono_literals;

struct Command {
    TPM2_CC code;
    std::string_view name;
    std::chrono::seconds deadline = 10s;
};

constexpr std::chrono::seconds unknown_deadline = 10s;

constexpr std::array commands{
    Command{TPM2_CC_Create, "TPM2_Create", 180s},
    Command{TPM2_CC_CreatePrimary, "TPM2_CreatePrimary", 180s},
    Command{TPM2_CC_Import, "TPM2_Import", 180s},
    Command{TPM2_CC_ContextLoad, "TPM2_ContextLoad"},
    Command{TPM2_CC_ContextSave, "TPM2_ContextSave"},
    Command{TPM2_CC_EvictControl, "TPM2_EvictControl"},
    Command{TPM2_CC_FlushContext, "TPM2_FlushContext"},
    Command{TPM2_CC_GetCapability, "TPM2_GetCapability"},
    Command{TPM2_CC_Load, "TPM2_Load"},
    Command{TPM2_CC_ObjectChangeAuth, "TPM2_ObjectChangeAuth"},
    Command{TPM2_CC_ReadPublic, "TPM2_ReadPublic"},
    Command{TPM2_CC_Sign, "TPM2_Sign"},
    Command{TPM2_CC_StartAuthSession, "TPM2_StartAuthSession"},
    Command{TPM2_CC_Startup, "TPM2_Startup"},
    Command{TPM2_CC_TestParms, "TPM2_TestParms"},
    Command{TPM2_CC_Unseal, "TPM2_Unseal"},
};
static_assert(std::ranges::all_of(commands, [](const Command& one) { return one.deadline > 0s; }));

} // namespace

std::chrono::seconds command_deadline(TPM2_CC command) noexcept {
    const auto found = std::ranges::find(commands, command, &Command::code);
    return found == commands.end() ? unknown_deadline : found->deadline;
}

std::string command_name(TPM2_CC command) {
    const auto found = std::ranges::find(commands, command, &Command::code);
    return found == commands.end() ? "TPM2 command " + keyfile::handle_name(command)
                                   : std::string(found->name);
}

} // namespace sshtpm::tpm
