// SPDX-License-Identifier: MIT
#pragma once
// Replies, as frames. `framed` makes the replies that are only a number.

#include "base/bytes.hpp"
#include "base/error.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sshtpm::protocol {

struct ListedKey {
    ByteView blob; ///< of a key or of a certificate
    std::string_view comment;
};

/// OpenSSH's clients refuse a longer list.
inline constexpr std::uint32_t max_listed_keys = 2048;

/// SSH_AGENT_IDENTITIES_ANSWER. Certificates and keys of newer types come after all others, because old
/// clients (pam_ssh_agent_auth) read a list up to the first blob of a type that they do not know. ssh
/// before 10.5 tries the keys in this order, ssh 10.5 tries certificates first. Leaves out keys that exceed
/// max_listed_keys, or max_message bytes.
Bytes identities_reply(std::vector<ListedKey> keys);

/// Parses the SSH_AGENT_IDENTITIES_ANSWER of another agent; the views point into the message.
/// @param message without its frame
/// @throws Error(malformed) also for more than max_listed_keys, and for a blob without the name of a type
std::vector<ListedKey> read_identities_reply(ByteView message);

/// SSH_AGENT_SIGN_RESPONSE with a signature blob.
Bytes sign_reply(ByteView signature);

/// SSH_AGENT_EXTENSION_RESPONSE to "query" (RFC 9987 section 5.8.1).
Bytes query_reply(std::span<const std::string_view> extensions);

/// Names and values that describe an agent; docs/agent.md lists them. Readers skip unknown names.
using AgentStatus = std::map<std::string, std::string>;

/// SSH_AGENT_EXTENSION_RESPONSE to extension::status: string name, then a string name and a string value for
/// each.
Bytes status_reply(const AgentStatus& status);

/// The outcome of extension::tpm_try_pin.
enum class PinOutcome : std::uint8_t {
    kept = 0,      ///< right, and kept for signatures
    wrong = 1,     ///< one try less is left
    lockout = 2,   ///< the TPM accepts no PIN now
    not_kept = 3,  ///< right, but this agent keeps no PINs
    not_tried = 4, ///< the PIN was empty: the client asked for the tries left
};

/// SSH_AGENT_EXTENSION_FAILURE with string message and string hint, printable and cut after 1000 bytes each;
/// the hint may be empty. Clients that know only the number do not read on (RFC 9987 section 5.8).
Bytes explained_failure(const Error& error);

/// The words of OpenSSH for a failure without a reason.
inline constexpr std::string_view refused_operation = "agent refused operation";

/// The error in a message whose number is a failure.
/// @returns Error(refused) with the message and the hint of explained_failure, made printable; for a failure
///     of any other form "agent refused operation" without a hint
Error failure_in(ByteView message);

inline constexpr std::uint32_t unknown_tries = 0xFFFF'FFFF;

/// SSH_AGENT_EXTENSION_RESPONSE to extension::tpm_try_pin: string name, byte outcome, uint32 tries left,
/// string text.
Bytes try_pin_reply(PinOutcome outcome, std::uint32_t tries_left, std::string_view text);

} // namespace sshtpm::protocol
