// SPDX-License-Identifier: MIT
#include "protocol/message.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sshtpm::protocol {

namespace {

Secret read_secret(wire::Reader& body, std::size_t most) {
    const auto secret = body.string();
    if (secret.size() > most)
        malformed("a password that is too long");
    return Secret::copy_of(secret);
}

Request parse_add_identity(wire::Reader body) {
    const auto type = wire::Reader(body).text();
    if (!ssh::key_type_named(type) && !ssh::key_type_of_certificate(type))
        return AddForeignIdentity{printable(type)};
    // ssh-add sends constraints with number 25; like OpenSSH's agent, this reads them from 17 too.
    auto key = ssh::read_key_pair(body);
    return AddIdentity{std::move(key), read_constraints(body)};
}

/// The body of SSH_AGENTC_LOCK and SSH_AGENTC_UNLOCK.
Secret parse_password(wire::Reader body) {
    auto password = read_secret(body, max_lock_password);
    body.expect_end();
    return password;
}

Request parse_session_bind(wire::Reader body) {
    try { // caught because the connection must remember that a bind failed
        return read_session_bind(body);
    } catch (const Error&) {
        return BrokenSessionBind{};
    }
}

TpmAddKey read_added_key(wire::Reader body, bool checked) {
    TpmAddKey request;
    request.checked = checked;
    request.key_file = body.text();
    if (request.key_file.empty() || request.key_file.size() > max_key_file)
        malformed("tpm-add-key with a key file that is empty or longer than 64 KiB");
    request.certificate = copy_of(body.string());
    request.constraints = read_constraints(body);
    return request;
}

/// The Go program puts a whole message into the body: a number, "TPMKEY" as the key's type, then the fields.
TpmAddKey parse_tpm_add_key(wire::Reader body) {
    const auto number = body.byte();
    if (number != SSH_AGENTC_ADD_IDENTITY && number != SSH_AGENTC_ADD_ID_CONSTRAINED)
        malformed("tpm-add-key with a number that does not add a key");
    if (body.text() != "TPMKEY")
        malformed("tpm-add-key with something else than a TPM key");
    return read_added_key(body, false);
}

TpmTryPin parse_tpm_try_pin(wire::Reader body) {
    TpmTryPin request;
    request.key_blob = copy_of(body.string());
    request.pin = read_secret(body, longest_pin_field);
    body.expect_end();
    return request;
}

SignRequest read_sign_request(wire::Reader& body) {
    return {.key_blob = copy_of(body.string()), .data = copy_of(body.string()), .flags = body.uint32()};
}

SignRequest parse_tpm_sign(wire::Reader body) {
    auto request = read_sign_request(body);
    body.expect_end();
    request.explained = true;
    return request;
}

Request parse_extension(wire::Reader body) {
    const auto name = body.text();
    if (name == extension::query)
        return Query{};
    if (name == extension::status) {
        body.expect_end();
        return StatusRequest{};
    }
    if (name == extension::session_bind)
        return parse_session_bind(body);
    if (name == extension::tpm_add_key)
        return parse_tpm_add_key(body);
    if (name == extension::tpm_add_checked_key)
        return read_added_key(body, true);
    if (name == extension::tpm_try_pin)
        return parse_tpm_try_pin(body);
    if (name == extension::tpm_sign)
        return parse_tpm_sign(body);
    if (name.empty() || name.size() > max_extension_name || !is_printable(name))
        malformed("an invalid name of an extension");
    return UnknownExtension{std::string(name)};
}

/// How many strings of a FIDO key come before its flags, as in OpenSSH's sshkey_private_serialize.
struct Token {
    std::string_view type;
    int strings;
};
constexpr std::array tokens{
    Token{"sk-ssh-ed25519@openssh.com", 3},
    Token{"sk-ssh-ed25519-cert-v01@openssh.com", 4},
    Token{"sk-ecdsa-sha2-nistp256@openssh.com", 4},
    Token{"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 3},
};

/// Removes the fields in front of the constraints: the type of a key, its numbers and its comment, or a
/// provider and its PIN. They are strings, whose first byte is 0 because messages are short; the numbers of
/// the constraints are others. Only FIDO keys also have a byte, for flags, before the last three strings.
void skip_fields(wire::Reader& body) {
    const auto type = wire::Reader(body).text();
    const auto skip_strings = [&](int most) {
        while (most-- != 0 && !body.empty() && body.rest().front() == 0)
            body.string();
    };
    constexpr int all = -1;
    const auto* const token = std::ranges::find(tokens, type, &Token::type);
    if (token != tokens.end()) {
        skip_strings(token->strings);
        body.byte();
    }
    skip_strings(all);
}

/// @returns false also for constraints that are not known, because their length is unknown too
bool has_lifetime(ByteView message) {
    wire::Reader body(message.subspan(1));
    bool found = false;
    try { // caught because only the upstream agent may know the form
        skip_fields(body);
        while (!body.empty()) {
            switch (body.byte()) {
            case SSH_AGENT_CONSTRAIN_LIFETIME:
                body.uint32();
                found = true;
                break;
            case SSH_AGENT_CONSTRAIN_CONFIRM:
                break;
            case SSH_AGENT_CONSTRAIN_EXTENSION: // ssh-add's have one string after the name
                if (body.text() == "associated-certs-v00@openssh.com")
                    body.byte();
                body.string();
                break;
            default:
                return false;
            }
        }
    } catch (const Error&) {
        return false;
    }
    return found;
}

std::uint8_t constrained(std::uint8_t number) {
    if (number == SSH_AGENTC_ADD_IDENTITY)
        return SSH_AGENTC_ADD_ID_CONSTRAINED;
    if (number == SSH_AGENTC_ADD_SMARTCARD_KEY)
        return SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED;
    return number;
}

} // namespace

Request parse_request(ByteView message) {
    wire::Reader body(message);
    switch (const auto number = body.byte()) {
    case SSH_AGENTC_REQUEST_IDENTITIES:
        return RequestIdentities{};
    case SSH_AGENTC_SIGN_REQUEST:
        return read_sign_request(body);
    case SSH_AGENTC_ADD_IDENTITY:
    case SSH_AGENTC_ADD_ID_CONSTRAINED:
        return parse_add_identity(body);
    case SSH_AGENTC_REMOVE_IDENTITY:
        return RemoveIdentity{copy_of(body.string())};
    case SSH_AGENTC_REMOVE_ALL_IDENTITIES:
    case SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES:
        return RemoveAllIdentities{};
    case SSH_AGENTC_LOCK:
        return Lock{parse_password(body)};
    case SSH_AGENTC_UNLOCK:
        return Unlock{parse_password(body)};
    case SSH_AGENTC_ADD_SMARTCARD_KEY:
    case SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED:
        return Smartcard{.removes = false};
    case SSH_AGENTC_REMOVE_SMARTCARD_KEY:
        return Smartcard{.removes = true};
    case SSH_AGENTC_EXTENSION:
        return parse_extension(body);
    default:
        return Unsupported{number};
    }
}

Bytes sign_request(const SignRequest& request) {
    wire::Writer message;
    if (request.explained)
        message.byte(SSH_AGENTC_EXTENSION).text(extension::tpm_sign);
    else
        message.byte(SSH_AGENTC_SIGN_REQUEST);
    return message.string(request.key_blob).string(request.data).uint32(request.flags).bytes();
}

bool wants_explanation(ByteView message) noexcept {
    try { // caught because a message without a name is of neither extension
        wire::Reader body(message);
        if (body.byte() != SSH_AGENTC_EXTENSION)
            return false;
        const auto name = body.text();
        return name == extension::tpm_add_checked_key || name == extension::tpm_try_pin ||
               name == extension::tpm_sign;
    } catch (const Error&) {
        return false;
    }
}

SessionBind read_session_bind(wire::Reader& reader) {
    constexpr std::size_t max_session_id = 128;
    SessionBind request;
    request.host_key = copy_of(reader.string());
    request.session_id = copy_of(reader.string());
    request.signature = copy_of(reader.string());
    request.is_forwarding = reader.boolean();
    if (request.session_id.empty() || request.session_id.size() > max_session_id)
        throw Error(Errc::malformed, "a session id that is not of 1 to 128 bytes");
    return request;
}

Bytes with_lifetime(ByteView message, std::uint32_t seconds) {
    if (has_lifetime(message))
        return copy_of(message);
    return wire::Writer()
        .byte(constrained(message.front()))
        .raw(message.subspan(1))
        .byte(SSH_AGENT_CONSTRAIN_LIFETIME)
        .uint32(seconds)
        .bytes();
}

} // namespace sshtpm::protocol
