#pragma once
// The messages of the SSH agent protocol (RFC 9987, PROTOCOL.agent), in their numbers and as structs.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "protocol/bound_sessions.hpp"
#include "protocol/constraints.hpp"
#include "ssh/private_key.hpp"

#include <optional>
#include <string>
#include <variant>

namespace sshtpm::protocol {

enum MessageNumber : std::uint8_t {
    SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES = 9, // of protocol 1; ssh-add -D still sends it
    SSH_AGENT_FAILURE = 5,
    SSH_AGENT_SUCCESS = 6,
    SSH_AGENTC_REQUEST_IDENTITIES = 11,
    SSH_AGENT_IDENTITIES_ANSWER = 12,
    SSH_AGENTC_SIGN_REQUEST = 13,
    SSH_AGENT_SIGN_RESPONSE = 14,
    SSH_AGENTC_ADD_IDENTITY = 17,
    SSH_AGENTC_REMOVE_IDENTITY = 18,
    SSH_AGENTC_REMOVE_ALL_IDENTITIES = 19,
    SSH_AGENTC_LOCK = 22,
    SSH_AGENTC_UNLOCK = 23,
    SSH_AGENTC_ADD_ID_CONSTRAINED = 25,
    SSH_AGENTC_EXTENSION = 27,
    SSH_AGENT_EXTENSION_FAILURE = 28,
    SSH_AGENT_EXTENSION_RESPONSE = 29,
};

/// The extensions of SSH_AGENTC_EXTENSION that this agent serves.
namespace extension {
inline constexpr std::string_view query = "query"; ///< RFC 9987 section 5.8.1
inline constexpr std::string_view session_bind = "session-bind@openssh.com";
inline constexpr std::string_view tpm_add_key = "tpm-add-key"; ///< of the Go program ssh-tpm-agent
inline constexpr std::string_view tpm_try_pin = "tpm-try-pin@ssh-tpm";
} // namespace extension

struct RequestIdentities {};

struct SignRequest {
    Bytes key_blob; ///< of a key or of a certificate
    Bytes data;
    std::uint32_t flags = 0;
};

struct AddIdentity {
    ssh::KeyPair key;
    Constraints constraints;
};

/// SSH_AGENTC_ADD_IDENTITY with a key of a type that no TPM holds: its fields are not looked at.
struct AddForeignIdentity {
    std::string type;
};

struct RemoveIdentity {
    Bytes key_blob;
};

struct RemoveAllIdentities {
    bool protocol_1 = false; ///< SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES
};

struct Lock {
    Secret password;
};

struct Unlock {
    Secret password;
};

struct Query {};

/// extension::session_bind with a body that does not parse: the connection must remember that it failed.
struct BrokenSessionBind {};

/// extension::tpm_add_key.
struct TpmAddKey {
    std::string key_file; ///< text of a key file
    Bytes certificate;    ///< blob; empty for none
    Constraints constraints;
};

/// extension::tpm_try_pin: the agent has the TPM try a PIN and, if it is right, keeps it. An empty one is not
/// tried: the answer says how many tries are left.
struct TpmTryPin {
    Bytes key_blob;
    Secret pin;
};

/// An extension that is not ours.
struct UnknownExtension {
    std::string name;
};

/// A message that this agent does not serve.
struct Unsupported {
    std::uint8_t number = 0;
};

using Request = std::variant<RequestIdentities, SignRequest, AddIdentity, AddForeignIdentity, RemoveIdentity,
                             RemoveAllIdentities, Lock, Unlock, Query, SessionBind, BrokenSessionBind,
                             TpmAddKey, TpmTryPin, UnknownExtension, Unsupported>;

} // namespace sshtpm::protocol
