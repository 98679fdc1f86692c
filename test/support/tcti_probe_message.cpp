// SPDX-License-Identifier: MIT
#include "tcti_probe_message.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

namespace probe {

namespace {

constexpr auto command_names = std::to_array<std::pair<TPM2_CC, std::string_view>>({
    {TPM2_CC_Clear, "TPM2_Clear"},
    {TPM2_CC_ContextLoad, "TPM2_ContextLoad"},
    {TPM2_CC_ContextSave, "TPM2_ContextSave"},
    {TPM2_CC_Create, "TPM2_Create"},
    {TPM2_CC_CreateLoaded, "TPM2_CreateLoaded"},
    {TPM2_CC_CreatePrimary, "TPM2_CreatePrimary"},
    {TPM2_CC_DictionaryAttackLockReset, "TPM2_DictionaryAttackLockReset"},
    {TPM2_CC_DictionaryAttackParameters, "TPM2_DictionaryAttackParameters"},
    {TPM2_CC_EvictControl, "TPM2_EvictControl"},
    {TPM2_CC_FlushContext, "TPM2_FlushContext"},
    {TPM2_CC_GetCapability, "TPM2_GetCapability"},
    {TPM2_CC_GetRandom, "TPM2_GetRandom"},
    {TPM2_CC_Hash, "TPM2_Hash"},
    {TPM2_CC_HierarchyChangeAuth, "TPM2_HierarchyChangeAuth"},
    {TPM2_CC_Import, "TPM2_Import"},
    {TPM2_CC_Load, "TPM2_Load"},
    {TPM2_CC_LoadExternal, "TPM2_LoadExternal"},
    {TPM2_CC_ObjectChangeAuth, "TPM2_ObjectChangeAuth"},
    {TPM2_CC_RSA_Decrypt, "TPM2_RSA_Decrypt"},
    {TPM2_CC_ReadPublic, "TPM2_ReadPublic"},
    {TPM2_CC_SelfTest, "TPM2_SelfTest"},
    {TPM2_CC_Shutdown, "TPM2_Shutdown"},
    {TPM2_CC_Sign, "TPM2_Sign"},
    {TPM2_CC_StartAuthSession, "TPM2_StartAuthSession"},
    {TPM2_CC_Startup, "TPM2_Startup"},
    {TPM2_CC_TestParms, "TPM2_TestParms"},
    {TPM2_CC_Unseal, "TPM2_Unseal"},
    {TPM2_CC_VerifySignature, "TPM2_VerifySignature"},
});

constexpr std::size_t header_size = 10;

/// Takes big-endian numbers and TPM2B structures from the front; empty and zero when nothing is left.
class Input {
  public:
    explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

    std::span<const std::uint8_t> take(std::size_t size) {
        const auto taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    std::uint32_t number(std::size_t size) {
        std::uint32_t value = 0;
        for (const std::uint8_t byte : take(size))
            value = value << 8U | byte;
        return value;
    }
    /// With its size field.
    std::span<const std::uint8_t> tpm2b() {
        const auto whole = rest_;
        const std::size_t size = number(2);
        return whole.first(2 + take(size).size());
    }
    std::span<const std::uint8_t> rest() const { return rest_; }

  private:
    std::span<const std::uint8_t> rest_;
};

void append(Buffer& to, std::span<const std::uint8_t> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

void append_number(Buffer& to, std::size_t value, unsigned size) {
    for (unsigned i = size; i-- > 0;)
        to.push_back(static_cast<std::uint8_t>(value >> 8U * i));
}

void set_size_field(Buffer& message, std::size_t value) {
    for (unsigned i = 0; i < 4 && 2 + i < message.size(); ++i)
        message[2 + i] = static_cast<std::uint8_t>(value >> 8U * (3 - i));
}

/// TPM2B_NAME of a TPM2B_PUBLIC whose name algorithm is SHA-256: that and the digest of the area (part 1,
/// 16).
Buffer name_of(const Buffer& area) {
    const std::span<const std::uint8_t> inner = std::span(area).subspan(2);
    std::array<std::uint8_t, TPM2_SHA256_DIGEST_SIZE> digest{};
    EVP_Digest(inner.data(), inner.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    Buffer name;
    name.reserve(2 + 2 + digest.size());
    append_number(name, 2 + digest.size(), 2);
    append_number(name, TPM2_ALG_SHA256, 2);
    append(name, digest);
    return name;
}

/// The parameters of a response with the area and the Name exchanged (part 3, 12.4 and 24.1).
Buffer swapped_parameters(std::uint32_t code, Input in, const Buffer& area, SwappedName how) {
    Buffer out;
    in.tpm2b();
    append(out, area);
    if (code == TPM2_CC_CreatePrimary) {
        append(out, in.tpm2b()); // creationData
        append(out, in.tpm2b()); // creationHash
        append(out, in.take(6)); // creationTicket: tag, hierarchy, digest
        append(out, in.tpm2b());
    }
    const auto own_name = in.tpm2b();
    if (how == SwappedName::adjusted)
        append(out, name_of(area));
    else
        append(out, own_name);
    append(out, in.rest());
    return out;
}

} // namespace

std::string hex_code(std::uint32_t code) {
    std::array<char, 11> text{};
    std::snprintf(text.data(), text.size(), "0x%08x", code);
    return text.data();
}

std::optional<std::uint32_t> header_code(const Buffer& message) {
    if (message.size() < header_size)
        return std::nullopt;
    return Input(std::span(message).subspan(6)).number(4);
}

std::string command_name(const Buffer& command) {
    const std::optional<std::uint32_t> code = header_code(command);
    if (!code)
        return "short-command";
    for (const auto& [known, name] : command_names)
        if (known == *code)
            return std::string(name);
    return hex_code(*code);
}

Buffer error_reply(std::uint32_t code) {
    Buffer reply;
    append_number(reply, TPM2_ST_NO_SESSIONS, 2);
    append_number(reply, header_size, 4);
    append_number(reply, code, 4);
    return reply;
}

std::optional<std::uint32_t> hide_ecc_key(Buffer& command) {
    constexpr std::uint16_t no_type = 0x7777;
    /// The public area's position among the parameters: all in front of it are TPM2B structures.
    struct Position {
        TPM2_CC command;
        std::size_t handles;
        std::uint32_t parameter;
    };
    constexpr auto positions = std::to_array<Position>({{TPM2_CC_CreatePrimary, 1, 2},
                                                        {TPM2_CC_Create, 1, 2},
                                                        {TPM2_CC_Load, 1, 2},
                                                        {TPM2_CC_Import, 1, 2},
                                                        {TPM2_CC_LoadExternal, 0, 2},
                                                        {TPM2_CC_TestParms, 0, 1}});
    const auto* const found =
        std::ranges::find(positions, header_code(command).value_or(0), &Position::command);
    if (found == positions.end())
        return std::nullopt;
    Input in(command);
    const bool has_sessions = in.number(2) == TPM2_ST_SESSIONS;
    in.take(header_size - 2 + 4 * found->handles);
    const auto sessions = has_sessions ? in.take(in.number(4)) : std::span<const std::uint8_t>();
    for (std::uint32_t i = 1; i < found->parameter; ++i)
        in.tpm2b();
    if (found->command != TPM2_CC_TestParms)
        in.number(2); // the size of TPM2B_PUBLIC
    const auto type_at = command.size() - in.rest().size();
    if (in.number(2) != TPM2_ALG_ECC)
        return std::nullopt;
    if (has_sessions && Input(sessions).number(4) != TPM2_RS_PW)
        return TPM2_RC_TYPE + TPM2_RC_P + found->parameter * TPM2_RC_1;
    command[type_at] = no_type >> 8U;
    command[type_at + 1] = no_type & 0xFFU;
    return std::nullopt;
}

Buffer garbage_reply() {
    Buffer reply(97);
    std::uint32_t state = 1;
    for (std::uint8_t& byte : reply) {
        state = state * 1'664'525U + 1'013'904'223U;
        byte = static_cast<std::uint8_t>(state >> 24U);
    }
    return reply;
}

Buffer with_lying_size(Buffer reply, long difference) {
    set_size_field(reply, static_cast<std::size_t>(static_cast<long>(reply.size()) + difference));
    return reply;
}

Buffer corrupted(Buffer reply, std::optional<long> offset) {
    const long size = static_cast<long>(reply.size());
    const long wanted = offset.value_or(size / 2);
    const long at = wanted < 0 ? size + wanted : wanted;
    if (at >= 0 && at < size)
        reply[static_cast<std::size_t>(at)] ^= 0xffU;
    return reply;
}

std::optional<std::uint16_t> hash_of_signature(const Buffer& command) {
    if (header_code(command) != TPM2_CC_Sign)
        return std::nullopt;
    Input in{std::span(command).subspan(header_size)};
    in.take(4);            // keyHandle
    in.take(in.number(4)); // the authorizations
    in.tpm2b();            // digest
    in.take(2);            // the scheme
    return static_cast<std::uint16_t>(in.number(2));
}

Buffer without_algorithms(const Buffer& command, Buffer reply, std::span<const std::uint16_t> missing) {
    if (header_code(command) != TPM2_CC_GetCapability || header_code(reply) != TPM2_RC_SUCCESS)
        return reply;
    Input in(reply);
    const auto head = in.take(header_size + 1); // moreData
    if (in.number(4) != TPM2_CAP_ALGS)
        return reply;
    Buffer kept;
    std::size_t count = 0;
    for (auto left = in.number(4); left > 0; --left) {
        const auto property = in.take(2 + 4);
        if (std::ranges::count(missing, Input(property).number(2)) > 0)
            continue;
        append(kept, property);
        ++count;
    }
    Buffer out(head.begin(), head.end());
    append_number(out, TPM2_CAP_ALGS, 4);
    append_number(out, count, 4);
    append(out, kept);
    set_size_field(out, out.size());
    return out;
}

Buffer with_swapped_area(const Buffer& command, const Buffer& reply, const Buffer& area, SwappedName name) {
    const std::uint32_t code = header_code(command).value_or(0);
    const bool has_handle = code == TPM2_CC_CreatePrimary;
    if ((!has_handle && code != TPM2_CC_ReadPublic) || header_code(reply) != TPM2_RC_SUCCESS)
        return reply;
    Input in(reply);
    const auto header = in.take(header_size);
    Buffer out(header.begin(), header.end());
    append(out, in.take(has_handle ? 4 : 0));
    if (Input(header).number(2) != TPM2_ST_SESSIONS) {
        append(out, swapped_parameters(code, in, area, name));
    } else {
        const std::size_t size = in.number(4);
        const Buffer parameters = swapped_parameters(code, Input(in.take(size)), area, name);
        append_number(out, parameters.size(), 4);
        append(out, parameters);
        append(out, in.rest()); // the authorizations
    }
    set_size_field(out, out.size());
    return out;
}

} // namespace probe
