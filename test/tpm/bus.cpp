#include "bus.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

using namespace sshtpm;

namespace tpm_test {

namespace {

constexpr std::size_t header_size = 10; ///< tag u16, size u32, code u32 (TPM 2.0 Part 1, 18)

std::uint32_t take(ByteView& rest, std::size_t width) {
    if (rest.size() < width)
        throw std::runtime_error("a recorded message is cut short");
    std::uint32_t value = 0;
    for (const auto byte : rest.first(width))
        value = value << 8U | byte;
    rest = rest.subspan(width);
    return value;
}

Bytes take_bytes(ByteView& rest, std::size_t size) {
    if (rest.size() < size)
        throw std::runtime_error("a recorded message is cut short");
    auto bytes = copy_of(rest.first(size));
    rest = rest.subspan(size);
    return bytes;
}

/// Of the command's handle area: TPM 2.0 Part 3.
std::size_t handle_count(TPM2_CC code) {
    switch (code) {
    case TPM2_CC_FlushContext: // a parameter, not a handle
    case TPM2_CC_GetCapability:
    case TPM2_CC_GetRandom:
    case TPM2_CC_LoadExternal:
    case TPM2_CC_TestParms:
        return 0;
    case TPM2_CC_Create:
    case TPM2_CC_CreatePrimary:
    case TPM2_CC_Import:
    case TPM2_CC_Load:
    case TPM2_CC_ReadPublic:
    case TPM2_CC_Sign:
        return 1;
    case TPM2_CC_EvictControl:
    case TPM2_CC_ObjectChangeAuth:
    case TPM2_CC_StartAuthSession:
        return 2;
    default:
        throw std::runtime_error("command " + std::to_string(code) + ": how many handles has it?");
    }
}

Command command_of(ByteView message) {
    ByteView rest = message;
    Command command;
    const auto tag = take(rest, 2);
    (void)take(rest, 4);
    command.code = take(rest, 4);
    for (auto left = handle_count(command.code); left > 0; --left)
        command.handles.push_back(take(rest, 4));
    if (tag != TPM2_ST_SESSIONS)
        return command;
    const auto size = take(rest, 4);
    const auto area = take_bytes(rest, size);
    for (ByteView entries = area; !entries.empty();) {
        Authorization authorization;
        authorization.session = take(entries, 4);
        (void)take_bytes(entries, take(entries, 2)); // the nonce
        (void)take(entries, 1);                      // the attributes
        authorization.hmac = take_bytes(entries, take(entries, 2));
        command.authorizations.push_back(std::move(authorization));
    }
    return command;
}

bool is_safe(const Command& command) {
    if (command.code == TPM2_CC_StartAuthSession && command.handles.at(0) == TPM2_RH_NULL) // tpmKey
        return false;
    return std::ranges::all_of(command.authorizations, [](const Authorization& authorization) {
        return authorization.session != TPM2_RS_PW || authorization.hmac.empty();
    });
}

} // namespace

std::vector<Command> commands_on(ByteView bus) {
    std::vector<Command> commands;
    for (bool response = false; !bus.empty(); response = !response) {
        ByteView header = bus.first(std::min(bus.size(), header_size));
        (void)take(header, 2);
        const auto message = take_bytes(bus, take(header, 4));
        if (!response)
            commands.push_back(command_of(message));
    }
    return commands;
}

bool never_on_bus(const support::TctiLog& log, std::string_view secret) {
    const auto bus = log.bus();
    const auto needle = bytes_of(secret);
    return !bus.empty() && std::search(bus.begin(), bus.end(), needle.begin(), needle.end()) == bus.end();
}

bool sessions_are_safe(const support::TctiLog& log) {
    const auto commands = commands_on(log.bus());
    return !commands.empty() && std::ranges::all_of(commands, is_safe);
}

} // namespace tpm_test
