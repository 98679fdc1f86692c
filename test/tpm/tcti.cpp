// SPDX-License-Identifier: MIT
// What stands between ESYS and a TPM, over a transport that says what a test wants to be said.

#include "tpm/tcti.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <tuple>

#include <tss2/tss2_tpm2_types.h>

using namespace sshtpm;
using namespace std::chrono_literals;
using Kind = tpm::Loss::Kind;

namespace {

struct Answer {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    Bytes message = {};
};

/// What a transport was asked, and what it says.
struct Script {
    TSS2_RC send_rc = TSS2_RC_SUCCESS;
    std::deque<Answer> answers;
    int sent = 0, asked = 0;
    Bytes command;
    Deadline deadline = {};
};

class Scripted final : public tpm::Transport {
  public:
    explicit Scripted(Script& script) : script_(script) {}

    TSS2_RC send(ByteView command, Deadline deadline) noexcept override {
        ++script_.sent;
        script_.command = copy_of(command);
        script_.deadline = deadline;
        return script_.send_rc;
    }
    tpm::Received receive(std::span<std::uint8_t> room, Deadline) noexcept override {
        ++script_.asked;
        if (script_.answers.empty())
            return {TSS2_TCTI_RC_TRY_AGAIN, 0};
        const auto answer = std::move(script_.answers.front());
        script_.answers.pop_front();
        std::copy_n(answer.message.begin(), std::min(room.size(), answer.message.size()), room.begin());
        return {answer.rc, answer.message.size()};
    }

  private:
    Script& script_;
};

const Bytes sign_command{0x80, 0x02, 0, 0, 0, 10, 0, 0, 0x01, 0x5D};     // TPM2_Sign, its header
const Bytes sign_reply{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 0xAB, 0xCD}; // success and two bytes

Bytes with(Bytes message, std::size_t at, std::uint8_t byte) {
    message.at(at) = byte;
    return message;
}

struct Watched {
    Script script;
    tpm::Tcti tcti{std::make_unique<Scripted>(script)};

    TSS2_RC transmit(const Bytes& message = sign_command) {
        return Tss2_Tcti_Transmit(tcti.tcti(), message.size(), message.data());
    }
    /// As SYS of tpm2-tss 3.2.1 does it: the size first, then the reply.
    std::tuple<TSS2_RC, Bytes> receive() {
        std::size_t size = 0;
        if (const auto rc = Tss2_Tcti_Receive(tcti.tcti(), &size, nullptr, TSS2_TCTI_TIMEOUT_BLOCK);
            rc != TSS2_RC_SUCCESS)
            return {rc, {}};
        Bytes out(size);
        const auto rc = Tss2_Tcti_Receive(tcti.tcti(), &size, out.data(), TSS2_TCTI_TIMEOUT_BLOCK);
        return {rc, out};
    }
    /// How the connection is lost over this answer; nothing when it is not.
    std::optional<Kind> loss_by(Answer answer) {
        script.answers = {std::move(answer)};
        REQUIRE(transmit() == TSS2_RC_SUCCESS);
        const auto [rc, got] = receive();
        if (!tcti.loss())
            return std::nullopt;
        CHECK(rc == TSS2_TCTI_RC_IO_ERROR);
        return tcti.loss()->kind;
    }
};

std::optional<Kind> loss_by(Bytes message) {
    return Watched().loss_by({.rc = TSS2_RC_SUCCESS, .message = std::move(message)});
}
std::optional<Kind> loss_by(TSS2_RC rc) {
    return Watched().loss_by({.rc = rc, .message = {}});
}

} // namespace

TEST_CASE("a reply passes as it came, its size is told first, and the next command begins anew") {
    Watched watched;
    for (int i = 0; i < 2; ++i) {
        watched.script.answers = {{.rc = TSS2_RC_SUCCESS, .message = sign_reply}};
        REQUIRE(watched.transmit() == TSS2_RC_SUCCESS);
        const auto [rc, got] = watched.receive();
        CHECK(rc == TSS2_RC_SUCCESS);
        CHECK(got == sign_reply);
        CHECK(watched.script.asked == i + 1); // one read for both questions
    }
    CHECK_FALSE(watched.tcti.loss());
}

TEST_CASE("every tag of a response passes, with the size that it has") {
    for (const std::uint8_t tag : Bytes{0x01, 0x02})
        CHECK_FALSE(loss_by(with(sign_reply, 1, tag)));
    const Bytes refused{0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0, 0x1E}; // of a TPM 2.0 to what is no command of its
    CHECK_FALSE(loss_by(refused));
    Bytes largest(tpm::largest_message);
    std::copy(sign_reply.begin(), sign_reply.end(), largest.begin());
    largest[4] = 0x10, largest[5] = 0;
    CHECK_FALSE(loss_by(largest));
}

TEST_CASE("a reply that is short, lies about its size or has another tag is garbage") {
    for (std::size_t size = 0; size < sign_reply.size(); ++size)
        CHECK(loss_by(Bytes(sign_reply.begin(), sign_reply.begin() + static_cast<std::ptrdiff_t>(size))) ==
              Kind::rubbish);
    for (std::size_t at = 0; at < 6; ++at)
        CHECK(loss_by(with(sign_reply, at, 0x7F)) == Kind::rubbish);
    CHECK(loss_by(with(sign_reply, 5, 11)) == Kind::rubbish);
    CHECK(loss_by(with(sign_reply, 5, 13)) == Kind::rubbish);
    CHECK(loss_by(Bytes(tpm::largest_message + 1)) == Kind::rubbish);
}

TEST_CASE("what a TCTI says tells how the connection was lost") {
    CHECK(loss_by(TSS2_TCTI_RC_TRY_AGAIN) == Kind::deadline);
    CHECK(loss_by(TSS2_TCTI_RC_MALFORMED_RESPONSE) == Kind::rubbish);
    CHECK(loss_by(TSS2_TCTI_RC_GENERAL_FAILURE) == Kind::rubbish);
    CHECK(loss_by(TSS2_TCTI_RC_INSUFFICIENT_BUFFER) == Kind::rubbish);
    CHECK(loss_by(TSS2_TCTI_RC_IO_ERROR) == Kind::broken);
    CHECK(loss_by(TSS2_TCTI_RC_NO_CONNECTION) == Kind::broken);
    Watched cannot_send;
    cannot_send.script.send_rc = TSS2_TCTI_RC_IO_ERROR;
    CHECK(cannot_send.transmit() == TSS2_TCTI_RC_IO_ERROR);
    REQUIRE(cannot_send.tcti.loss());
    CHECK(cannot_send.tcti.loss()->kind == Kind::broken);
}

TEST_CASE("after a loss nothing is sent and nothing is waited for") {
    Watched watched;
    REQUIRE(watched.loss_by({.rc = TSS2_TCTI_RC_TRY_AGAIN, .message = {}}));
    watched.script.answers = {{.rc = TSS2_RC_SUCCESS, .message = sign_reply}};
    CHECK(watched.transmit() == TSS2_TCTI_RC_IO_ERROR);
    CHECK(std::get<0>(watched.receive()) == TSS2_TCTI_RC_IO_ERROR);
    CHECK(watched.script.sent == 1);
    CHECK(watched.script.asked == 1);
}

TEST_CASE("while the TPM is busy it gets the same command again, and nobody sees its refusals") {
    Watched watched;
    for (const std::uint8_t code : Bytes{0x22, 0x0A, 0x08}) // RETRY, TESTING, YIELDED
        watched.script.answers.push_back(
            {.rc = TSS2_RC_SUCCESS, .message = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, code}});
    watched.script.answers.push_back({.rc = TSS2_RC_SUCCESS, .message = sign_reply});
    REQUIRE(watched.transmit() == TSS2_RC_SUCCESS);
    watched.script.command.clear();
    const auto [rc, got] = watched.receive();
    CHECK(got == sign_reply);
    CHECK(watched.script.sent == 4);
    CHECK(watched.script.command == sign_command);
}

TEST_CASE("a TPM that is full is not asked again here") {
    Watched watched;
    const Bytes full{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x02}; // OBJECT_MEMORY
    watched.script.answers = {{.rc = TSS2_RC_SUCCESS, .message = full}};
    REQUIRE(watched.transmit() == TSS2_RC_SUCCESS);
    CHECK(std::get<1>(watched.receive()) == full);
    CHECK(watched.script.sent == 1);
}

TEST_CASE("a reply stays until there is room for it") {
    Watched watched;
    watched.script.answers = {{.rc = TSS2_RC_SUCCESS, .message = sign_reply}};
    REQUIRE(watched.transmit() == TSS2_RC_SUCCESS);
    Bytes out(sign_reply.size());
    std::size_t size = sign_reply.size() - 1;
    CHECK(Tss2_Tcti_Receive(watched.tcti.tcti(), &size, out.data(), 0) == TSS2_TCTI_RC_INSUFFICIENT_BUFFER);
    CHECK(size == sign_reply.size());
    CHECK(Tss2_Tcti_Receive(watched.tcti.tcti(), &size, out.data(), 0) == TSS2_RC_SUCCESS);
    CHECK(out == sign_reply);
}

TEST_CASE("what is too short to be a command is not sent") {
    Watched watched;
    CHECK(watched.transmit(Bytes(tpm::header_size - 1)) == TSS2_TCTI_RC_BAD_VALUE);
    CHECK(watched.script.sent == 0);
}

TEST_CASE("a command has the deadline of its kind, and the loss names both") {
    Watched sign;
    const auto before = std::chrono::steady_clock::now();
    REQUIRE(sign.loss_by({.rc = TSS2_TCTI_RC_TRY_AGAIN, .message = {}}));
    CHECK(sign.script.deadline >= before + 10s);
    CHECK(sign.script.deadline <= std::chrono::steady_clock::now() + 10s);
    CHECK(sign.tcti.loss()->error().what() == std::string("the TPM did not answer within 10 s (TPM2_Sign)"));
    Watched create;
    REQUIRE(create.transmit(with(sign_command, 9, 0x53)) == TSS2_RC_SUCCESS); // TPM2_Create
    CHECK(create.script.deadline > std::chrono::steady_clock::now() + 170s);
}

namespace {

Bytes empty_command(TPM2_CC code) {
    const auto low = static_cast<std::uint8_t>(code), high = static_cast<std::uint8_t>(code >> 8U);
    return {0x80, 0x02, 0, 0, 0, 10, 0, 0, high, low};
}

/// TPM2_CreatePrimary with a password session of `auth` bytes and a sensitive part of `sensitive`.
Bytes create_primary(TPMI_ALG_PUBLIC type, std::uint8_t auth, std::uint8_t sensitive) {
    auto out = empty_command(TPM2_CC_CreatePrimary);
    append(out, Bytes{0x40, 0, 0, 0x01, 0, 0, 0, auth});
    append(out, Bytes(auth, 0x23));
    append(out, Bytes{0, sensitive});
    append(out, Bytes(sensitive, 0x23));
    append(out, Bytes{0, 8, 0, static_cast<std::uint8_t>(type), 0, 0x0B, 0, 3, 4, 0x72});
    return out;
}

} // namespace

TEST_CASE("commands that make keys have three minutes, others ten seconds, unknown ones too") {
    for (const TPM2_CC slow : {TPM2_CC_Create, TPM2_CC_CreatePrimary, TPM2_CC_Import})
        CHECK(tpm::command_deadline(empty_command(slow)) == 180s);
    for (const TPM2_CC quick : {TPM2_CC_Sign, TPM2_CC_Load, TPM2_CC_StartAuthSession, TPM2_CC_FlushContext,
                                TPM2_CC_ContextLoad, TPM2_CC_HMAC})
        CHECK(tpm::command_deadline(empty_command(quick)) == 10s);
    CHECK(tpm::command_name(TPM2_CC_Load) == "TPM2_Load");
    CHECK(tpm::command_name(TPM2_CC_ContextLoad) == "TPM2_ContextLoad");
    CHECK(tpm::command_name(0x1FF) == "TPM2 command 0x000001ff");
}

TEST_CASE("a primary ECC key has ten seconds, an RSA key and what cannot be read three minutes") {
    for (const auto& [auth, sensitive] :
         std::vector<std::pair<std::uint8_t, std::uint8_t>>{{9, 4}, {73, 68}, {0, 0}}) {
        CHECK(tpm::command_deadline(create_primary(TPM2_ALG_RSA, auth, sensitive)) == 180s);
        const auto ecc = create_primary(TPM2_ALG_ECC, auth, sensitive);
        CHECK(tpm::command_deadline(ecc) == 10s);
        for (std::size_t size = tpm::header_size; size < ecc.size() - 6; ++size)
            CHECK(tpm::command_deadline(ByteView(ecc).first(size)) == 180s);
        // Sizes that lead behind the end.
        CHECK(tpm::command_deadline(with(ecc, tpm::header_size + 4, 0xFF)) == 180s);
        CHECK(tpm::command_deadline(with(ecc, tpm::header_size + 8 + auth, 0xFF)) == 180s);
    }
}
