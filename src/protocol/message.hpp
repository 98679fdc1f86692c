// SPDX-License-Identifier: MIT
#pragma once
// The requests of the SSH agent protocol (RFC 9987, OpenSSH's PROTOCOL.agent), and their parser.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "protocol/constraints.hpp"
#include "ssh/private_key.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace sshtpm::protocol {

enum MessageNumber : std::uint8_t {
    SSH_AGENT_FAILURE = 5,
    SSH_AGENT_SUCCESS = 6,
    SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES = 9, ///< of protocol 1; ssh-add -D still sends it
    SSH_AGENTC_REQUEST_IDENTITIES = 11,
    SSH_AGENT_IDENTITIES_ANSWER = 12,
    SSH_AGENTC_SIGN_REQUEST = 13,
    SSH_AGENT_SIGN_RESPONSE = 14,
    SSH_AGENTC_ADD_IDENTITY = 17,
    SSH_AGENTC_REMOVE_IDENTITY = 18,
    SSH_AGENTC_REMOVE_ALL_IDENTITIES = 19,
    SSH_AGENTC_ADD_SMARTCARD_KEY = 20,
    SSH_AGENTC_REMOVE_SMARTCARD_KEY = 21,
    SSH_AGENTC_LOCK = 22,
    SSH_AGENTC_UNLOCK = 23,
    SSH_AGENTC_ADD_ID_CONSTRAINED = 25,
    SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED = 26,
    SSH_AGENTC_EXTENSION = 27,
    SSH_AGENT_EXTENSION_FAILURE = 28,
    SSH_AGENT_EXTENSION_RESPONSE = 29,
};

/// The extensions of SSH_AGENTC_EXTENSION that this agent serves.
namespace extension {
inline constexpr std::string_view query = "query"; ///< RFC 9987 section 5.8.1
inline constexpr std::string_view session_bind = "session-bind@openssh.com";
inline constexpr std::string_view tpm_add_key = "tpm-add-key"; ///< as in the Go program ssh-tpm-agent
/// The same with a check: the TPM loads the key first. Body: string key file, string certificate,
/// constraints.
inline constexpr std::string_view tpm_add_checked_key = "tpm-add-key@ssh-tpm";
inline constexpr std::string_view tpm_try_pin = "tpm-try-pin@ssh-tpm";
/// SSH_AGENTC_SIGN_REQUEST with an explained failure. Body: string key blob, string data, uint32 flags.
inline constexpr std::string_view tpm_sign = "tpm-sign@ssh-tpm";
inline constexpr std::string_view status = "status@ssh-tpm"; ///< of the agent; without a body
} // namespace extension

struct RequestIdentities {};

/// SSH_AGENTC_SIGN_REQUEST and extension::tpm_sign.
struct SignRequest {
    Bytes key_blob; ///< of a key or of a certificate
    Bytes data;
    std::uint32_t flags = 0;
    bool explained = false; ///< it came as the extension
};

struct AddIdentity {
    ssh::KeyPair key;
    Constraints constraints;
};

/// SSH_AGENTC_ADD_IDENTITY with a key of a type that no TPM has; its fields are not parsed.
struct AddForeignIdentity {
    std::string type;
};

struct RemoveIdentity {
    Bytes key_blob;
};

struct RemoveAllIdentities {};

struct Lock {
    Secret password;
};

struct Unlock {
    Secret password;
};

struct Query {};

/// extension::status.
struct StatusRequest {};

/// extension::session_bind (PROTOCOL.agent section 1).
struct SessionBind {
    Bytes host_key;   ///< blob
    Bytes session_id; ///< 1 to 128 bytes
    Bytes signature;  ///< by host_key over session_id
    bool is_forwarding = false;
};

/// A body of extension::session_bind that does not parse. It is a request, because the connection must
/// remember that a bind failed.
struct BrokenSessionBind {};

/// extension::tpm_add_key and extension::tpm_add_checked_key.
struct TpmAddKey {
    std::string key_file; ///< the text of a key file
    Bytes certificate;    ///< blob; empty for none
    Constraints constraints;
    bool checked = false; ///< the key is added only if the TPM loads it
};

/// extension::tpm_try_pin: the TPM tries the PIN, and the agent keeps a right one. With an empty PIN, the
/// reply tells how many tries are left, or that the key has no PIN. If the key's file says so, the TPM is
/// asked; if the file is wrong, that costs a try, but not the last one.
struct TpmTryPin {
    Bytes key_blob;
    Secret pin;
};

/// A request to load or unload a PKCS#11 provider; its fields are not parsed.
struct Smartcard {
    bool removes = false;
};

/// An extension that this agent does not serve.
struct UnknownExtension {
    std::string name;
};

/// A message that this agent does not serve.
struct Unsupported {
    std::uint8_t number = 0;
};

using Request =
    std::variant<RequestIdentities, SignRequest, AddIdentity, AddForeignIdentity, RemoveIdentity,
                 RemoveAllIdentities, Lock, Unlock, Query, StatusRequest, SessionBind, BrokenSessionBind,
                 TpmAddKey, TpmTryPin, Smartcard, UnknownExtension, Unsupported>;

inline constexpr std::size_t max_lock_password = 4096;
inline constexpr std::size_t longest_pin_field = 1024;
inline constexpr std::size_t max_key_file = 64 * 1024;
inline constexpr std::size_t max_extension_name = 200;

/// Ignores bytes after the body where OpenSSH's agent does: in the numbers 9, 11, 13, 18 and 19, and in 27
/// with `query`, `session-bind@openssh.com` or an unknown name.
/// @param message not empty
/// @throws Error(malformed) for a body that does not parse
/// @throws Error(unsupported) for a well-formed key or constraint that is not supported
Request parse_request(ByteView message);

/// The message of a request, in the form that `explained` says.
Bytes sign_request(const SignRequest& request);

/// True for extension::tpm_add_checked_key, extension::tpm_try_pin and extension::tpm_sign, also if the body
/// does not parse. A failure is answered with explained_failure, for a person to read.
bool wants_explanation(ByteView message) noexcept;

/// The body of extension::session_bind after the name. Ignores bytes after it, as OpenSSH's agent does.
/// @throws Error(malformed)
SessionBind read_session_bind(wire::Reader& reader);

/// A message that adds keys (SSH_AGENTC_ADD_IDENTITY, _ADD_SMARTCARD_KEY, or their _CONSTRAINED form), for an
/// upstream agent: in the constrained form, with this lifetime as the last constraint unless it has one.
/// A message of unknown form always gets it. If it has a lifetime already, ssh-agent refuses the second one.
Bytes with_lifetime(ByteView message, std::uint32_t seconds);

} // namespace sshtpm::protocol
