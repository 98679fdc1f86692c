#include "tpm/watched_tcti.hpp"

#include <algorithm>

namespace sshtpm::tpm {

namespace {

constexpr std::uint64_t magic = 0x7373682d77617463; // "ssh-watc"

bool is_reply(ByteView message) {
    if (message.size() < header_size)
        return false;
    const auto header = header_of(message);
    const bool known_tag = header.tag == TPM2_ST_NO_SESSIONS || header.tag == TPM2_ST_SESSIONS ||
                           header.tag == TPM2_ST_RSP_COMMAND;
    return known_tag && header.size == message.size();
}

} // namespace

Error Loss::error() const {
    const auto name = command_name(command);
    // The code keeps what decides by codes from taking this for an answer of the TPM's.
    switch (kind) {
    case Kind::deadline:
        return Error::from_tpm(
            Errc::tpm, TSS2_TCTI_RC_IO_ERROR,
            "the TPM did not answer within " +
                std::to_string(std::chrono::floor<std::chrono::seconds>(limit).count()) + " s (" + name + ")",
            "try again; if it stays silent, restart the machine, or the emulator if it is one");
    case Kind::rubbish:
        return Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE,
                               "the TPM's answer is garbled (" + name + ")",
                               "try again; if it stays so, look for what sits between this program and the "
                               "TPM (--tcti, SSH_TPM_TCTI)");
    default:
        return Error::from_tpm(Errc::tpm, TSS2_TCTI_RC_IO_ERROR,
                               "the connection to the TPM was lost (" + name + ")",
                               "try again; the TPM, its resource manager or its emulator may have restarted");
    }
}

WatchedTcti::WatchedTcti(std::unique_ptr<Transport> transport, DeadlineOf deadline_of)
    : transport_(std::move(transport)), deadline_of_(deadline_of) {
    face_.common.magic = magic;
    face_.common.version = 1;
    face_.common.transmit = transmit;
    face_.common.receive = receive;
    // The other calls of the table stay null, which tpm2-tss takes for "not implemented". ESYS does not end
    // a TCTI that it was given.
    face_.self = this;
}

TSS2_TCTI_CONTEXT* WatchedTcti::tcti() noexcept {
    void* memory = &face_;
    return static_cast<TSS2_TCTI_CONTEXT*>(memory);
}

WatchedTcti& WatchedTcti::behind(TSS2_TCTI_CONTEXT* face) noexcept {
    void* memory = face;
    return *static_cast<Face*>(memory)->self;
}

TSS2_RC WatchedTcti::transmit(TSS2_TCTI_CONTEXT* face, size_t size, const std::uint8_t* command) noexcept {
    return behind(face).send({command, size});
}

TSS2_RC WatchedTcti::send(ByteView command) noexcept {
    if (loss_)
        return TSS2_TCTI_RC_IO_ERROR;
    if (command.size() < header_size)
        return TSS2_TCTI_RC_BAD_VALUE;
    command_ = header_of(command).code;
    limit_ = deadline_of_(command);
    deadline_ = std::chrono::steady_clock::now() + limit_;
    reply_size_ = 0;
    const auto rc = transport_->send(command, deadline_);
    if (rc == TSS2_RC_SUCCESS)
        return rc;
    return lose(rc == TSS2_TCTI_RC_TRY_AGAIN ? Loss::Kind::deadline : Loss::Kind::broken);
}

/// SYS in tpm2-tss 3.2.1 asks for a reply's size first, without a place for it, and then for the reply. Both
/// are served from one read, so that the size is the true one for every TCTI below. The timeout, which ESYS's
/// blocking calls set to "without end", is replaced by the command's deadline.
TSS2_RC WatchedTcti::receive(TSS2_TCTI_CONTEXT* face, size_t* size, std::uint8_t* reply,
                             std::int32_t) noexcept {
    auto& self = behind(face);
    if (size == nullptr)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (const auto rc = self.fetch(); rc != TSS2_RC_SUCCESS)
        return rc;
    const auto room = *size;
    *size = self.reply_size_;
    if (reply == nullptr)
        return TSS2_RC_SUCCESS;
    if (room < self.reply_size_)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    std::copy_n(self.reply_.begin(), self.reply_size_, reply);
    self.reply_size_ = 0;
    return TSS2_RC_SUCCESS;
}

TSS2_RC WatchedTcti::fetch() noexcept {
    if (loss_)
        return TSS2_TCTI_RC_IO_ERROR;
    if (reply_size_ > 0)
        return TSS2_RC_SUCCESS;
    const auto [rc, size] = transport_->receive(reply_, deadline_);
    switch (rc) {
    case TSS2_RC_SUCCESS:
        break;
    case TSS2_TCTI_RC_TRY_AGAIN:
        return lose(Loss::Kind::deadline);
    case TSS2_TCTI_RC_MALFORMED_RESPONSE:
    case TSS2_TCTI_RC_GENERAL_FAILURE:     // the device TCTI of a reply that is shorter than a header
    case TSS2_TCTI_RC_INSUFFICIENT_BUFFER: // of one longer than a TPM's may be
        return lose(Loss::Kind::rubbish);
    default:
        return lose(Loss::Kind::broken);
    }
    if (size > reply_.size() || !is_reply(ByteView(reply_).first(size)))
        return lose(Loss::Kind::rubbish);
    reply_size_ = size;
    return TSS2_RC_SUCCESS;
}

/// Never TRY_AGAIN, on which ESYS would ask again without end.
TSS2_RC WatchedTcti::lose(Loss::Kind kind) noexcept {
    loss_ =
        Loss{.kind = kind, .command = command_, .limit = limit_, .noticed = std::chrono::steady_clock::now()};
    return TSS2_TCTI_RC_IO_ERROR;
}

} // namespace sshtpm::tpm
