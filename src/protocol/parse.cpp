#include "protocol/parse.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "wire/reader.hpp"

namespace sshtpm::protocol {

namespace {

Secret read_secret(wire::Reader& body, std::size_t most) {
    const auto secret = body.string();
    if (secret.size() > most)
        malformed("a password that is too long");
    return Secret::copy_of(secret);
}

SignRequest parse_sign_request(wire::Reader body) {
    SignRequest request;
    request.key_blob = copy_of(body.string());
    request.data = copy_of(body.string());
    request.flags = body.uint32();
    return request;
}

Request parse_add_identity(wire::Reader body) {
    const auto type = wire::Reader(body).text();
    if (!ssh::key_type_named(type) && !ssh::key_type_of_certificate(type))
        return AddForeignIdentity{printable(type)};
    // ssh-add sends 25 when there are constraints; OpenSSH's agent looks for them behind 17 as well.
    auto key = ssh::read_key_pair(body);
    return AddIdentity{std::move(key), read_constraints(body)};
}

RemoveIdentity parse_remove_identity(wire::Reader body) {
    return {copy_of(body.string())};
}

/// The whole body of SSH_AGENTC_LOCK and SSH_AGENTC_UNLOCK.
Secret parse_password(wire::Reader body) {
    auto password = read_secret(body, max_lock_password);
    body.expect_end();
    return password;
}

Request parse_session_bind(wire::Reader body) {
    try { // the connection that a broken bind comes from must remember it
        return read_session_bind(body);
    } catch (const Error&) {
        return BrokenSessionBind{};
    }
}

/// The body of the Go program is a message within the message: its number, the word "TPMKEY" in place of the
/// type of a key, then the fields.
TpmAddKey parse_tpm_add_key(wire::Reader body) {
    const auto number = body.byte();
    if (number != SSH_AGENTC_ADD_IDENTITY && number != SSH_AGENTC_ADD_ID_CONSTRAINED)
        malformed("tpm-add-key with a number that does not add a key");
    if (body.text() != "TPMKEY")
        malformed("tpm-add-key with something else than a TPM key");
    TpmAddKey request;
    request.key_file = body.text();
    if (request.key_file.empty() || request.key_file.size() > max_key_file)
        malformed("tpm-add-key with a key file that is empty or longer than 64 KiB");
    request.certificate = copy_of(body.string());
    request.constraints = read_constraints(body);
    return request;
}

TpmTryPin parse_tpm_try_pin(wire::Reader body) {
    TpmTryPin request;
    request.key_blob = copy_of(body.string());
    request.pin = read_secret(body, max_pin);
    body.expect_end();
    return request;
}

Request parse_extension(wire::Reader body) {
    const auto name = body.text();
    if (name == extension::query)
        return Query{};
    if (name == extension::session_bind)
        return parse_session_bind(body);
    if (name == extension::tpm_add_key)
        return parse_tpm_add_key(body);
    if (name == extension::tpm_try_pin)
        return parse_tpm_try_pin(body);
    if (name.empty() || name.size() > max_extension_name || !is_printable(name))
        malformed("an extension whose name cannot be one");
    return UnknownExtension{std::string(name)};
}

} // namespace

Request parse_request(ByteView message) {
    wire::Reader body(message);
    switch (const auto number = body.byte()) {
    case SSH_AGENTC_REQUEST_IDENTITIES:
        return RequestIdentities{};
    case SSH_AGENTC_SIGN_REQUEST:
        return parse_sign_request(body);
    case SSH_AGENTC_ADD_IDENTITY:
    case SSH_AGENTC_ADD_ID_CONSTRAINED:
        return parse_add_identity(body);
    case SSH_AGENTC_REMOVE_IDENTITY:
        return parse_remove_identity(body);
    case SSH_AGENTC_REMOVE_ALL_IDENTITIES:
        return RemoveAllIdentities{};
    case SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES:
        return RemoveAllIdentities{.protocol_1 = true};
    case SSH_AGENTC_LOCK:
        return Lock{parse_password(body)};
    case SSH_AGENTC_UNLOCK:
        return Unlock{parse_password(body)};
    case SSH_AGENTC_EXTENSION:
        return parse_extension(body);
    default:
        return Unsupported{number};
    }
}

} // namespace sshtpm::protocol
