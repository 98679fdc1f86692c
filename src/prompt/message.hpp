// SPDX-License-Identifier: MIT
#pragma once
// The messages between the agent and its prompter, the process that asks a person. Each is one packet of a
// socket pair: the number of the request, a byte for its kind, and the rest. Numbers are big-endian.

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "prompt/ask.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

namespace sshtpm::prompt {

/// The longest question of the agent has about 1,500 bytes.
inline constexpr std::size_t max_question = 4096;

/// Each request gets one reply with its number.
struct Request {
    enum class Kind : std::uint8_t {
        secret = 1, ///< a question; the reply is a Secret, Unanswered or Suspended
        confirm,    ///< a question; the reply is a Confirmation
        who,        ///< "who would be asked for a secret?"; the reply is an Asker
        suspend,    ///< end the questions on the terminal as Suspended; the reply is Suspended, after theirs
        cancel,     ///< end the question with this number; has no reply of its own
    };

    std::uint32_t number = 0;
    Kind kind = Kind::cancel;
    std::string question = {}; ///< for `secret` and `confirm`; else empty
};

/// The agent must ask again: it is about to be stopped, or it has lost the foreground of its terminal.
struct Suspended {};

using Result = std::variant<Secret, Unanswered, Confirmation, Asker, Suspended>;

struct Reply {
    std::uint32_t number = 0;
    Result result;
};

/// @throws Error(malformed) for a question that is longer than max_question, or contains a NUL
Bytes message_of(const Request& request);
/// @throws Error(malformed) for anything that message_of does not make
Request parse_request(ByteView message);

inline constexpr std::size_t max_request = 5 + max_question, max_reply = 5 + max_answer;

Secret message_of(const Reply& reply);
/// @throws Error(malformed) for anything that message_of does not make
Reply parse_reply(ByteView message);

} // namespace sshtpm::prompt
