#include "protocol/message.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <array>

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

Request parse_extension(wire::Reader body) {
    const auto name = body.text();
    if (name == extension::query)
        return Query{};
    if (name == extension::session_bind)
        return parse_session_bind(body);
    if (name == extension::tpm_add_key)
        return parse_tpm_add_key(body);
    if (name == extension::tpm_add_checked_key)
        return read_added_key(body, true);
    if (name == extension::tpm_try_pin)
        return parse_tpm_try_pin(body);
    if (name.empty() || name.size() > max_extension_name || !is_printable(name))
        malformed("an invalid name of an extension");
    return UnknownExtension{std::string(name)};
}

/// The fields between type and comment, as in OpenSSH's sshkey_private_serialize: 's' is a string or an
/// mpint, which have the same form, and 'b' a byte.
struct Layout {
    std::string_view type, fields;
};
constexpr std::array layouts{
    Layout{"ssh-ed25519", "ss"},
    Layout{"ssh-ed25519-cert-v01@openssh.com", "sss"},
    Layout{"sk-ssh-ed25519@openssh.com", "ssbss"},
    Layout{"sk-ssh-ed25519-cert-v01@openssh.com", "sssbss"},
    Layout{"sk-ecdsa-sha2-nistp256@openssh.com", "sssbss"},
    Layout{"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ssbss"},
    Layout{"ecdsa-sha2-nistp256", "sss"},
    Layout{"ecdsa-sha2-nistp384", "sss"},
    Layout{"ecdsa-sha2-nistp521", "sss"},
    Layout{"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ss"},
    Layout{"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ss"},
    Layout{"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ss"},
    Layout{"ssh-rsa", "ssssss"},
    Layout{"ssh-rsa-cert-v01@openssh.com", "sssss"},
    Layout{"ssh-dss", "sssss"},
    Layout{"ssh-dss-cert-v01@openssh.com", "ss"},
};

/// @returns false for an unknown type
bool skip_key(wire::Reader& body) {
    const auto type = body.text();
    const auto* const layout = std::ranges::find(layouts, type, &Layout::type);
    if (layout == layouts.end())
        return false;
    for (const char field : layout->fields) {
        if (field == 's')
            body.string();
        else
            body.byte();
    }
    body.string(); // the comment
    return true;
}

/// @returns nothing for an unknown constraint, because its length is unknown too
std::optional<bool> has_lifetime(wire::Reader constraints) {
    bool found = false;
    while (!constraints.empty()) {
        switch (constraints.byte()) {
        case SSH_AGENT_CONSTRAIN_LIFETIME:
            constraints.uint32();
            found = true;
            break;
        case SSH_AGENT_CONSTRAIN_CONFIRM:
            break;
        case SSH_AGENT_CONSTRAIN_EXTENSION: // the extensions of ssh-add have one string after the name
            constraints.string();
            constraints.string();
            break;
        default:
            return std::nullopt;
        }
    }
    return found;
}

} // namespace

Request parse_request(ByteView message) {
    wire::Reader body(message);
    switch (const auto number = body.byte()) {
    case SSH_AGENTC_REQUEST_IDENTITIES:
        return RequestIdentities{};
    case SSH_AGENTC_SIGN_REQUEST:
        return SignRequest{
            .key_blob = copy_of(body.string()), .data = copy_of(body.string()), .flags = body.uint32()};
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
    case SSH_AGENTC_EXTENSION:
        return parse_extension(body);
    default:
        return Unsupported{number};
    }
}

bool wants_explanation(ByteView message) noexcept {
    try { // caught because a message without a name is of neither extension
        wire::Reader body(message);
        if (body.byte() != SSH_AGENTC_EXTENSION)
            return false;
        const auto name = body.text();
        return name == extension::tpm_add_checked_key || name == extension::tpm_try_pin;
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

std::optional<Bytes> with_lifetime(ByteView message, std::uint32_t seconds) {
    try { // caught because the upstream agent could not parse the message either
        wire::Reader body(message);
        const auto number = body.byte();
        if ((number != SSH_AGENTC_ADD_IDENTITY && number != SSH_AGENTC_ADD_ID_CONSTRAINED) || !skip_key(body))
            return std::nullopt;
        const auto lifetime = has_lifetime(body);
        if (!lifetime)
            return std::nullopt;
        if (*lifetime)
            return copy_of(message);
        wire::Writer writer;
        writer.byte(SSH_AGENTC_ADD_ID_CONSTRAINED).raw(message.subspan(1));
        writer.byte(SSH_AGENT_CONSTRAIN_LIFETIME).uint32(seconds);
        return std::move(writer).bytes();
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace sshtpm::protocol
