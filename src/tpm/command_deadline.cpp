#include "tpm/command_deadline.hpp"

#include "base/time_limits.hpp"
#include "keyfile/names.hpp"
#include "tpm/tpm_message.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sshtpm::tpm {

namespace {

struct Command {
    TPM2_CC code;
    std::string_view name;
    bool slow = false; ///< makes or takes in a key
};

constexpr std::array commands{
    Command{TPM2_CC_Create, "TPM2_Create", true},
    Command{TPM2_CC_CreatePrimary, "TPM2_CreatePrimary", true},
    Command{TPM2_CC_Import, "TPM2_Import", true},
    Command{TPM2_CC_ContextLoad, "TPM2_ContextLoad"},
    Command{TPM2_CC_ContextSave, "TPM2_ContextSave"},
    Command{TPM2_CC_EvictControl, "TPM2_EvictControl"},
    Command{TPM2_CC_FlushContext, "TPM2_FlushContext"},
    Command{TPM2_CC_GetCapability, "TPM2_GetCapability"},
    Command{TPM2_CC_GetRandom, "TPM2_GetRandom"},
    Command{TPM2_CC_Load, "TPM2_Load"},
    Command{TPM2_CC_ObjectChangeAuth, "TPM2_ObjectChangeAuth"},
    Command{TPM2_CC_ReadPublic, "TPM2_ReadPublic"},
    Command{TPM2_CC_Sign, "TPM2_Sign"},
    Command{TPM2_CC_StartAuthSession, "TPM2_StartAuthSession"},
    Command{TPM2_CC_Startup, "TPM2_Startup"},
    Command{TPM2_CC_TestParms, "TPM2_TestParms"},
    Command{TPM2_CC_Unseal, "TPM2_Unseal"},
};

/// The type of the key that TPM2_CreatePrimary is to make (TPM 2.0 Part 3, 24.1): behind the hierarchy come
/// the sessions, with their size in 32 bits, the sensitive part, with its own in 16, and the template.
/// TPM2_ALG_ERROR for what is no such command.
TPMI_ALG_PUBLIC primary_type(ByteView command) noexcept {
    std::size_t at = header_size + sizeof(TPM2_HANDLE);
    const auto number = [&](std::size_t bytes) {
        std::size_t value = 0;
        for (; bytes > 0 && at < command.size(); --bytes, ++at)
            value = value << 8U | command[at];
        return bytes == 0 ? value : command.size(); // which leads behind the end
    };
    at += number(sizeof(UINT32));
    at += number(sizeof(UINT16));
    number(sizeof(UINT16)); // the template's size
    const auto type = number(sizeof(TPMI_ALG_PUBLIC));
    return at < command.size() ? static_cast<TPMI_ALG_PUBLIC>(type) : TPM2_ALG_ERROR;
}

} // namespace

std::chrono::milliseconds command_deadline(ByteView command) noexcept {
    const auto code = header_of(command).code;
    const auto found = std::ranges::find(commands, code, &Command::code);
    const bool ecc_primary = code == TPM2_CC_CreatePrimary && primary_type(command) == TPM2_ALG_ECC;
    const bool slow = found != commands.end() && found->slow && !ecc_primary;
    return slow ? time_limits().tpm_key_command : time_limits().tpm_command;
}

std::string command_name(TPM2_CC command) {
    const auto found = std::ranges::find(commands, command, &Command::code);
    return found == commands.end() ? "TPM2 command " + keyfile::handle_name(command)
                                   : std::string(found->name);
}

} // namespace sshtpm::tpm
