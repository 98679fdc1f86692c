// SPDX-License-Identifier: MIT
// What the agent and its prompter send to each other: what either side accepts, it would write the same way.

#include "fuzz/target.hpp"
#include "prompt/message.hpp"

using namespace sshtpm;

FUZZ_TARGET(prompt_message) {
    const ByteView message(data, size);
    if (const auto request = taken(prompt::parse_request, message)) {
        require(size <= prompt::max_request && request->question.find('\0') == std::string::npos);
        require(equal(prompt::message_of(*request), message));
    }
    if (const auto reply = taken(prompt::parse_reply, message)) {
        require(size <= prompt::max_reply);
        require(equal(prompt::message_of(*reply).view(), message));
    }
}
