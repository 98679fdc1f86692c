// SPDX-License-Identifier: MIT
#include "tpm/tcti.hpp"

#include "keyfile/names.hpp"
#include "tpm/rc.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <thread>

namespace sshtpm::tpm {

namespace {

struct Command {
    TPM2_CC code;
    std::string_view name;
    bool slow = false; ///< makes or imports a key
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
    Command{TPM2_CC_RSA_Decrypt, "TPM2_RSA_Decrypt"},
    Command{TPM2_CC_ReadPublic, "TPM2_ReadPublic"},
    Command{TPM2_CC_Sign, "TPM2_Sign"},
    Command{TPM2_CC_StartAuthSession, "TPM2_StartAuthSession"},
    Command{TPM2_CC_Startup, "TPM2_Startup"},
    Command{TPM2_CC_TestParms, "TPM2_TestParms"},
    Command{TPM2_CC_Unseal, "TPM2_Unseal"},
};

/// The key type in the template of TPM2_CreatePrimary (TPM 2.0 Part 3, 24.1). The template follows the
/// hierarchy, the sessions (their size is 32 bits) and the sensitive part (16 bits). @returns TPM2_ALG_ERROR
/// for a malformed command
TPMI_ALG_PUBLIC primary_type(ByteView command) noexcept {
    std::size_t at = header_size + sizeof(TPM2_HANDLE);
    const auto number = [&](std::size_t bytes) {
        std::size_t value = 0;
        for (; bytes > 0 && at < command.size(); --bytes, ++at)
            value = value << 8U | command[at];
        return bytes == 0 ? value : command.size(); // past the end
    };
    at += number(sizeof(UINT32));
    at += number(sizeof(UINT16));
    number(sizeof(UINT16)); // the template's size
    const auto type = number(sizeof(TPMI_ALG_PUBLIC));
    return at < command.size() ? static_cast<TPMI_ALG_PUBLIC>(type) : TPM2_ALG_ERROR;
}

bool is_reply(ByteView message) {
    if (message.size() < header_size)
        return false;
    const auto header = header_of(message);
    const bool known_tag = header.tag == TPM2_ST_NO_SESSIONS || header.tag == TPM2_ST_SESSIONS ||
                           header.tag == TPM2_ST_RSP_COMMAND;
    return known_tag && header.size == message.size();
}

Loss::Kind kind_of(TSS2_RC failure) noexcept {
    switch (failure) {
    case TSS2_TCTI_RC_TRY_AGAIN:
        return Loss::Kind::deadline;
    case TSS2_TCTI_RC_MALFORMED_RESPONSE:
    case TSS2_TCTI_RC_GENERAL_FAILURE:     // from the device TCTI for a reply shorter than a header
    case TSS2_TCTI_RC_INSUFFICIENT_BUFFER: // for a reply longer than any of a TPM
        return Loss::Kind::rubbish;
    default:
        return Loss::Kind::broken;
    }
}

} // namespace

std::chrono::milliseconds command_deadline(ByteView command) noexcept {
    const auto code = header_of(command).code;
    const auto* const found = std::ranges::find(commands, code, &Command::code);
    const bool ecc_primary = code == TPM2_CC_CreatePrimary && primary_type(command) == TPM2_ALG_ECC;
    const bool slow = found != commands.end() && found->slow && !ecc_primary;
    return slow ? time_limits().tpm_key_command : time_limits().tpm_command;
}

std::string command_name(TPM2_CC command) {
    const auto* const found = std::ranges::find(commands, command, &Command::code);
    return found == commands.end() ? "TPM2 command " + keyfile::handle_name(command)
                                   : std::string(found->name);
}

Error Loss::error() const {
    const auto name = " (" + command_name(command) + ")";
    const auto seconds = std::chrono::floor<std::chrono::seconds>(limit).count();
    switch (kind) {
    case Kind::deadline:
        return Error::from_tpm(
            Errc::tpm, TSS2_TCTI_RC_IO_ERROR,
            "the TPM did not answer within " + std::to_string(seconds) + " s" + name,
            "try again; if it stays silent, restart the machine, or the emulator if it is one");
    case Kind::rubbish:
        return Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE,
                               "the TPM's answer is garbled" + name,
                               "try again; if it stays so, look for what sits between this program and the "
                               "TPM (--tcti, SSH_TPM_TCTI)");
    default:
        return Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_IO_ERROR, "the connection to the TPM was lost" + name,
                               "try again; the TPM, its resource manager or its emulator may have restarted");
    }
}

Tcti::Tcti(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {
    face_.common.magic = 0x7373682d77617463; // "ssh-watc"
    face_.common.version = 1;
    face_.common.transmit = transmit;
    face_.common.receive = receive;
    // The other functions of the table stay null: "not implemented".
    face_.self = this;
}

TSS2_TCTI_CONTEXT* Tcti::tcti() noexcept {
    void* memory = &face_;
    return static_cast<TSS2_TCTI_CONTEXT*>(memory);
}

Tcti& Tcti::behind(TSS2_TCTI_CONTEXT* face) noexcept {
    void* memory = face;
    return *static_cast<Face*>(memory)->self;
}

TSS2_RC Tcti::transmit(TSS2_TCTI_CONTEXT* face, size_t size, const std::uint8_t* command) noexcept {
    auto& self = behind(face);
    if (size < header_size || size > self.command_.size())
        return TSS2_TCTI_RC_BAD_VALUE;
    std::copy_n(command, size, self.command_.begin());
    self.command_size_ = size;
    if (header_of(self.command_).code == TPM2_CC_FlushContext) // else the object would stay loaded for good
        self.patience_ = std::max<std::chrono::milliseconds>(self.patience_, std::chrono::seconds(2));
    return self.send();
}

TSS2_RC Tcti::send() noexcept {
    if (loss_)
        return TSS2_TCTI_RC_IO_ERROR;
    const auto command = ByteView(command_).first(command_size_);
    limit_ = command_deadline(command);
    deadline_ = std::chrono::steady_clock::now() + limit_;
    reply_size_ = 0;
    const auto rc = transport_->send(command, deadline_);
    return rc == TSS2_RC_SUCCESS ? rc : lose(kind_of(rc));
}

/// SYS in tpm2-tss 3.2.1 asks for the size of a reply first and then for the reply; one read answers both
/// calls. The command's deadline replaces the timeout, which ESYS sets to "infinite".
TSS2_RC Tcti::receive(TSS2_TCTI_CONTEXT* face, size_t* size, std::uint8_t* reply, std::int32_t) noexcept {
    auto& self = behind(face);
    if (size == nullptr)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (const auto rc = self.fetch(); rc != TSS2_RC_SUCCESS)
        return rc;
    const auto capacity = *size;
    *size = self.reply_size_;
    if (reply == nullptr)
        return TSS2_RC_SUCCESS;
    if (capacity < self.reply_size_)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    std::copy_n(self.reply_.begin(), self.reply_size_, reply);
    self.reply_size_ = 0;
    return TSS2_RC_SUCCESS;
}

/// A busy TPM has neither begun the command nor changed its sessions, so the same bytes are sent again, as
/// Linux does (tpm_transmit).
TSS2_RC Tcti::fetch() noexcept {
    using std::chrono::milliseconds;
    constexpr milliseconds longest_pause{100};
    if (loss_)
        return TSS2_TCTI_RC_IO_ERROR;
    std::optional<Deadline> refused;
    for (milliseconds pause{1}; reply_size_ == 0; pause = std::min(pause * 2, longest_pause)) {
        const auto [failure, size] = transport_->receive(reply_, deadline_);
        const auto now = std::chrono::steady_clock::now();
        if (refused) // a TPM can take seconds to refuse
            patience_ -= std::chrono::ceil<milliseconds>(now - *refused);
        refused = now;
        if (failure != TSS2_RC_SUCCESS)
            return lose(kind_of(failure));
        if (size > reply_.size() || !is_reply(ByteView(reply_).first(size)))
            return lose(Loss::Kind::rubbish);
        if (remedy_for(header_of(reply_).code) != Remedy::wait || patience_ <= milliseconds(0)) {
            reply_size_ = size;
            break;
        }
        std::this_thread::sleep_for(pause);
        if (const auto rc = send(); rc != TSS2_RC_SUCCESS)
            return rc;
    }
    return TSS2_RC_SUCCESS;
}

/// @returns never TRY_AGAIN, because ESYS would repeat its call for ever
TSS2_RC Tcti::lose(Loss::Kind kind) noexcept {
    loss_ = Loss{.kind = kind,
                 .command = header_of(command_).code,
                 .limit = limit_,
                 .noticed = std::chrono::steady_clock::now()};
    return TSS2_TCTI_RC_IO_ERROR;
}

} // namespace sshtpm::tpm
