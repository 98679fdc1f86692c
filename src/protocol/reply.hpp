#pragma once
// Replies, with their frame.

#include "base/bytes.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace sshtpm::protocol {

Bytes failure_reply();
Bytes success_reply();
/// SSH_AGENT_EXTENSION_FAILURE: the extension is known, this request of it was refused.
Bytes extension_failure_reply();

struct ListedKey {
    ByteView blob; ///< of a key or of a certificate
    std::string_view comment;
};

/// OpenSSH's clients give up on a longer list.
inline constexpr std::uint32_t max_listed_keys = 2048;

/// SSH_AGENT_IDENTITIES_ANSWER. Keys that would make it longer than max_message, or more than
/// max_listed_keys, are left out.
Bytes identities_reply(std::span<const ListedKey> keys);

/// The keys in such an answer of another agent, without its frame; the views look into it. At most
/// max_listed_keys, each with a blob that begins with a type's name.
/// @throws Error(malformed)
std::vector<ListedKey> read_identities_reply(ByteView message);

/// SSH_AGENT_SIGN_RESPONSE with a signature blob.
Bytes sign_reply(ByteView signature);

/// SSH_AGENT_EXTENSION_RESPONSE to "query" (RFC 9987 section 5.8.1).
Bytes query_reply(std::span<const std::string_view> extensions);

/// The outcome of extension::tpm_try_pin.
enum class PinOutcome : std::uint8_t {
    kept = 0,      ///< right, and kept for signatures to come
    wrong = 1,     ///< and one try the less
    lockout = 2,   ///< the TPM takes no PIN now
    not_kept = 3,  ///< right, but this agent keeps none
    not_tried = 4, ///< none came: the question was for the tries that are left
};

inline constexpr std::uint32_t unknown_tries = 0xFFFF'FFFF;

/// SSH_AGENT_EXTENSION_RESPONSE to it: string name, byte outcome, uint32 tries left, string for a person.
Bytes try_pin_reply(PinOutcome outcome, std::uint32_t tries_left, std::string_view text);

} // namespace sshtpm::protocol
