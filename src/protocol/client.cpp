// SPDX-License-Identifier: MIT
#include "protocol/client.hpp"

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "os/process.hpp"
#include "protocol/frame.hpp"
#include "protocol/message.hpp"
#include "ssh/algorithm.hpp"
#include "ssh/verify.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <sys/random.h>
#include <sys/time.h>

namespace sshtpm::protocol {

namespace {

constexpr const char* invalid_answer = "invalid answer from the agent";
constexpr std::array<std::uint8_t, 1> list_request{SSH_AGENTC_REQUEST_IDENTITIES};
constexpr const char* no_answer = "the agent does not answer";
using Clock = std::chrono::steady_clock;

/// The hint for an agent that does not answer: the process that listens.
std::string how_to_find(int socket) {
    try { // caught because the socket may not be connected
        const auto pid = os::peer_of(socket).pid;
        if (pid == 1) // systemd listens for the agents that it starts
            return "`systemctl list-sockets` names the unit, and `systemctl status UNIT` its state";
        if (os::is_systemd(pid))
            return "see its state: `systemctl --user status ssh-tpm-agent.service`";
        return pid > 0 ? "see the process that listens: `ps -fp " + std::to_string(pid) + "`" : "";
    } catch (const Error&) {
        return "";
    }
}

/// After this an answer that comes too late cannot be taken for the next one.
[[noreturn]] void give_up(int socket, const char* reason) {
    auto hint = how_to_find(socket);
    ::shutdown(socket, SHUT_RDWR);
    throw Error(Errc::io, reason, std::move(hint));
}

std::optional<Deadline> end_of(std::chrono::milliseconds limit) {
    return limit.count() > 0 ? std::optional(Clock::now() + limit) : std::nullopt;
}

/// Limits how long the next system call waits; for ever without an end.
void limit_wait(int socket, const std::optional<Deadline>& end) {
    const int left = end ? milliseconds_until(*end) : 0; // 0: no limit (socket(7))
    if (end && left == 0)
        give_up(socket, no_answer);
    const timeval time{.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
        if (::setsockopt(socket, SOL_SOCKET, direction, &time, sizeof time) != 0)
            throw Error::from_errno(errno, "limiting the wait for an agent");
}

UniqueFd connect_to(const std::filesystem::path& path, const std::optional<Deadline>& end) {
    const auto address = os::unix_address(path.native());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket)
        throw Error::from_errno(errno, "socket");
    limit_wait(socket.value(), end);
    if (uninterrupted([&] { return ::connect(socket.value(), os::generic(address), sizeof address); }) == 0)
        return socket;
    if (errno == EAGAIN) // its queue of connections is full
        throw Error(Errc::io, no_answer,
                    "see the process that listens: `ss -xlp src " + shell_word(path.native()) + "`");
    throw Error::from_errno(errno, path.string());
}

/// @param transfer sends or receives, as send(2) and recv(2) do, with the rest of the bytes
void transfer_all(int socket, auto bytes, const std::optional<Deadline>& end, const auto& transfer) {
    while (!bytes.empty()) {
        limit_wait(socket, end);
        const ssize_t moved = uninterrupted([&] { return transfer(bytes); });
        if (moved <= 0)
            give_up(socket, moved < 0 && errno == EAGAIN ? no_answer : "communication with agent failed");
        bytes = bytes.subspan(static_cast<std::size_t>(moved));
    }
}

void require_number(std::uint8_t number, MessageNumber expected) {
    if (number != expected)
        malformed("number " + std::to_string(number) + " where " + std::to_string(expected) + " was due");
}

bool is_failure(std::uint8_t number) {
    // 30 and 102: SSH_COM_AGENT2_FAILURE and its old form, which OpenSSH's clients accept too.
    return number == SSH_AGENT_FAILURE || number == SSH_AGENT_EXTENSION_FAILURE || number == 30 ||
           number == 102;
}

/// Calls `read`, and names the agent in the errors that it throws.
template <class Read>
auto understood(Read&& read) {
    try { // caught to name the agent
        return read();
    } catch (const Error& error) {
        throw error.about(invalid_answer);
    }
}

/// Reads all fields after the message number.
template <class Read>
auto read_answer(ByteView answer, MessageNumber number, Read&& read) {
    return understood([&] {
        wire::Reader reader(answer);
        require_number(reader.byte(), number);
        auto result = read(reader);
        reader.expect_end();
        return result;
    });
}

std::vector<AgentKey> owned(std::span<const ListedKey> listed) {
    std::vector<AgentKey> keys;
    for (const auto& key : listed)
        keys.push_back({.type = std::string(wire::Reader(key.blob).text()),
                        .blob = copy_of(key.blob),
                        .comment = std::string(key.comment)});
    return keys;
}

/// True for an RSA key, and for a certificate of one.
bool is_rsa(ByteView key_blob) {
    const auto name = wire::Reader(key_blob).text();
    return ssh::key_type_named(name) == ssh::KeyType::rsa ||
           ssh::key_type_of_certificate(name) == ssh::KeyType::rsa;
}

/// Refuses a signature with another algorithm than the flags ask for: RSA keys have several.
void require_algorithm(ByteView key_blob, std::uint32_t flags, ByteView signature) {
    if (!is_rsa(key_blob))
        return;
    const auto asked = ssh::choose_algorithm(ssh::KeyType::rsa, flags);
    if (asked && wire::Reader(signature).text() != asked->name)
        malformed("a signature by another algorithm than " + std::string(asked->name));
}

void require_name(wire::Reader& reader, std::string_view name) {
    if (reader.text() != name)
        malformed("an answer to another extension");
}

PinResult read_pin_result(wire::Reader& reader) {
    require_name(reader, extension::tpm_try_pin);
    const auto outcome = reader.byte();
    if (outcome > static_cast<std::uint8_t>(PinOutcome::not_tried))
        malformed("unknown outcome " + std::to_string(outcome) + " of a PIN");
    const auto left = reader.uint32();
    return {.outcome = static_cast<PinOutcome>(outcome),
            .tries_left = left == unknown_tries ? std::nullopt : std::optional(left),
            .text = std::string(reader.text())};
}

/// @returns the answer @throws Error if it is a failure
Bytes successful(ByteView message, Bytes answer) {
    if (is_failure(answer.front()))
        throw wants_explanation(message) ? failure_in(answer)
                                         : Error(Errc::refused, std::string(refused_operation));
    return answer;
}

/// A message that ends with a secret string, in guarded memory.
Secret secret_message(wire::Writer head, const Secret& last) {
    head.uint32(static_cast<std::uint32_t>(last.size()));
    Secret message(head.bytes().size() + last.size());
    message.append(head.bytes());
    message.append(last.view());
    return message;
}

} // namespace

Client::Client(const std::filesystem::path& socket, std::chrono::milliseconds slow_limit)
    : quick_limit_(slow_limit.count() > 0 ? std::min(time_limits().agent_answer, slow_limit)
                                          : time_limits().agent_answer),
      slow_limit_(slow_limit) {
    socket_ = connect_to(socket, end_of(quick_limit_));
}

void Client::require_trusted_agent() const {
    const auto peer = this->peer();
    if (!os::may_use_agent(peer))
        throw Error(Errc::permission,
                    "the agent runs as another user (uid " + std::to_string(peer.uid) +
                        "), and is not sent keys, PINs or passwords",
                    "set SSH_TPM_AUTH_SOCK to the socket of an agent of your own (sudo -E keeps that of "
                    "the user who ran it)");
}

Bytes Client::request(ByteView message) {
    if (Clock::now() - answered_ > quick_limit_ && quick_limit_.count() > 0)
        exchange(list_request, quick_limit_);
    return exchange(message, slow_limit_);
}

Bytes Client::exchange(ByteView message, std::chrono::milliseconds limit) {
    if (message.size() > max_message)
        throw Error(Errc::unsupported, "a request of " + std::to_string(message.size()) +
                                           " bytes, where agents take " + std::to_string(max_message));
    const auto end = end_of(limit);
    const auto send = [&](ByteView bytes) {
        transfer_all(socket_.value(), bytes, end, [&](ByteView rest) {
            return ::send(socket_.value(), rest.data(), rest.size(), MSG_NOSIGNAL);
        });
    };
    const auto receive = [&](std::span<std::uint8_t> bytes) {
        transfer_all(socket_.value(), bytes, end, [&](std::span<std::uint8_t> rest) {
            return ::recv(socket_.value(), rest.data(), rest.size(), 0);
        });
    };
    send(wire::Writer().uint32(static_cast<std::uint32_t>(message.size())).bytes());
    send(message);
    std::array<std::uint8_t, 4> header{};
    receive(header);
    const std::size_t length = wire::Reader(header).uint32();
    if (length == 0 || length > max_message)
        malformed(std::string(invalid_answer) + ": of " + std::to_string(length) + " bytes");
    Bytes answer(length);
    receive(answer);
    answered_ = Clock::now();
    return answer;
}

void Client::require_success(ByteView message) {
    const auto answer = successful(message, request(message));
    // Extensions may add bytes to the answer (RFC 9987 section 5.8).
    understood([&] { require_number(answer.front(), SSH_AGENT_SUCCESS); });
}

std::vector<AgentKey> Client::list() {
    const auto answer = successful(list_request, exchange(list_request, quick_limit_));
    return understood([&] { return owned(read_identities_reply(answer)); });
}

Bytes Client::sign(ByteView key_blob, ByteView data, std::uint32_t flags) {
    return sign({.key_blob = copy_of(key_blob), .data = copy_of(data), .flags = flags});
}

Bytes Client::sign(const SignRequest& asked) {
    const auto message = sign_request(asked);
    const auto answer = successful(message, request(message));
    return read_answer(answer, SSH_AGENT_SIGN_RESPONSE, [&](wire::Reader& reader) {
        const auto blob = reader.string();
        require_algorithm(asked.key_blob, asked.flags, blob);
        return copy_of(blob);
    });
}

std::optional<std::string> Client::find_wrong_signature(ByteView key_blob,
                                                        std::optional<std::string_view> only) {
    Bytes message(256); // getrandom(2) never returns fewer up to this size
    if (::getrandom(message.data(), message.size(), 0) != static_cast<ssize_t>(message.size()))
        throw Error::from_errno(errno, "getrandom");
    // The reason is printed, with a hint that people follow.
    const bool explained = os::may_use_agent(peer()) && knows(extension::tpm_sign);
    const auto verifies = [&](std::uint32_t flags) {
        const auto blob =
            sign({.key_blob = copy_of(key_blob), .data = message, .flags = flags, .explained = explained});
        return !ssh::can_verify(key_blob) || ssh::verify_signature(key_blob, blob, message);
    };
    if (!is_rsa(key_blob)) // the algorithm has the name of the key's type
        return verifies(0) ? std::nullopt : std::optional<std::string>(wire::Reader(key_blob).text());
    for (const auto& algorithm : ssh::algorithms_of(ssh::KeyType::rsa))
        if (only.value_or(algorithm.name) == algorithm.name &&
            !naming(algorithm.name, [&] { return verifies(algorithm.flag); }))
            return std::string(algorithm.name);
    return std::nullopt;
}

void Client::add_tpm_key(std::string_view key_file, ByteView certificate, const Constraints& constraints) {
    require_trusted_agent(); // a key file without a PIN works for everyone who may use the TPM
    wire::Writer message;
    message.byte(SSH_AGENTC_EXTENSION);
    // The body of tpm-add-key is a message itself: the Go agent accepts its numbers 17 and 25, and the Go
    // client sends 17.
    if (knows(extension::tpm_add_checked_key))
        message.text(extension::tpm_add_checked_key);
    else
        message.text(extension::tpm_add_key).byte(SSH_AGENTC_ADD_IDENTITY).text("TPMKEY");
    message.text(key_file).string(certificate);
    write_constraints(message, constraints);
    require_success(message.bytes());
}

void Client::remove(ByteView key_blob) {
    require_success(wire::Writer().byte(SSH_AGENTC_REMOVE_IDENTITY).string(key_blob).bytes());
}

void Client::remove_all() {
    require_success(std::array<std::uint8_t, 1>{SSH_AGENTC_REMOVE_ALL_IDENTITIES});
    request(std::array<std::uint8_t, 1>{SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES}); // few agents support it
}

void Client::lock(const Secret& password) {
    require_trusted_agent();
    require_success(secret_message(wire::Writer().byte(SSH_AGENTC_LOCK), password).view());
}

void Client::unlock(const Secret& password) {
    require_trusted_agent();
    require_success(secret_message(wire::Writer().byte(SSH_AGENTC_UNLOCK), password).view());
}

std::vector<std::string> Client::query() {
    const auto message = wire::Writer().byte(SSH_AGENTC_EXTENSION).text(extension::query).bytes();
    const auto answer = successful(message, exchange(message, quick_limit_));
    return read_answer(answer, SSH_AGENT_EXTENSION_RESPONSE, [](wire::Reader& reader) {
        require_name(reader, extension::query);
        std::vector<std::string> names;
        while (!reader.empty())
            names.emplace_back(reader.text());
        return names;
    });
}

bool Client::knows(std::string_view extension) {
    if (!extensions_) {
        try { // caught because many agents do not know this request
            extensions_ = query();
        } catch (const Error& error) {
            if (error.code() != Errc::refused && error.code() != Errc::malformed)
                throw;
            extensions_.emplace();
        }
    }
    return std::ranges::find(*extensions_, extension) != extensions_->end();
}

AgentStatus Client::status() {
    const auto message = wire::Writer().byte(SSH_AGENTC_EXTENSION).text(extension::status).bytes();
    const auto answer = successful(message, exchange(message, quick_limit_));
    return read_answer(answer, SSH_AGENT_EXTENSION_RESPONSE, [](wire::Reader& reader) {
        require_name(reader, extension::status);
        AgentStatus status;
        while (!reader.empty()) {
            std::string name(reader.text());
            if (!status.emplace(std::move(name), reader.text()).second)
                malformed("a name that comes twice");
        }
        return status;
    });
}

PinResult Client::try_pin(ByteView key_blob, const Secret& pin) {
    require_trusted_agent();
    const auto message = secret_message(
        wire::Writer().byte(SSH_AGENTC_EXTENSION).text(extension::tpm_try_pin).string(key_blob), pin);
    const auto answer = successful(message.view(), request(message.view()));
    return read_answer(answer, SSH_AGENT_EXTENSION_RESPONSE, read_pin_result);
}

} // namespace sshtpm::protocol
