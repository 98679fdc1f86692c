// SPDX-License-Identifier: MIT
#include "prompt/message.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

namespace sshtpm::prompt {

namespace {

constexpr std::size_t head_size = 5;

std::array<std::uint8_t, head_size> head(std::uint32_t number, std::size_t kind) {
    return {static_cast<std::uint8_t>(number >> 24U), static_cast<std::uint8_t>(number >> 16U),
            static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number),
            static_cast<std::uint8_t>(kind)};
}

struct Parts {
    std::uint32_t number;
    std::uint8_t kind;
    ByteView rest;
};

Parts split(ByteView message, std::size_t longest) {
    if (message.size() < head_size || message.size() > longest)
        malformed("a message of the prompter has " + std::to_string(message.size()) + " bytes");
    std::uint32_t number = 0;
    for (const auto byte : message.first(4))
        number = number << 8U | byte;
    return {number, message[4], message.subspan(head_size)};
}

void check_question(const Request& request) {
    const bool asks = request.kind == Request::Kind::secret || request.kind == Request::Kind::confirm;
    if (request.question.size() > max_question || (!asks && !request.question.empty()))
        malformed("a question of " + std::to_string(request.question.size()) + " bytes");
    // It becomes an argument of a program, where "-" begins an option, and is shown on a terminal.
    auto lines = request.question;
    std::ranges::replace(lines, '\n', ' ');
    if (asks && (!is_printable(lines) || lines.empty() || lines.front() == '-'))
        malformed("a question that is empty, begins with \"-\" or has control characters");
}

template <class Enum>
Enum value(ByteView rest, Enum last) {
    if (rest.size() != 1 || rest[0] > static_cast<std::size_t>(last))
        malformed("the prompter sends an unknown result");
    return static_cast<Enum>(rest[0]);
}

/// @param index of the alternative of Result
Result parse_result(std::size_t index, ByteView rest) {
    switch (index) {
    case 0:
        return Secret::copy_of(rest);
    case 1:
        return value(rest, Unanswered::late);
    case 2:
        return value(rest, Confirmation::failed);
    case 3:
        return value(rest, Asker::nobody);
    default:
        if (index != 4 || !rest.empty())
            malformed("the prompter sends an unknown result");
        return Suspended{};
    }
}

} // namespace

Bytes message_of(const Request& request) {
    check_question(request);
    const auto start = head(request.number, static_cast<std::size_t>(request.kind));
    Bytes out(start.begin(), start.end());
    out.insert(out.end(), request.question.begin(), request.question.end());
    return out;
}

Request parse_request(ByteView message) {
    const auto parts = split(message, max_request);
    if (parts.kind < static_cast<std::uint8_t>(Request::Kind::secret) ||
        parts.kind > static_cast<std::uint8_t>(Request::Kind::cancel))
        malformed("an unknown kind of request");
    Request request{.number = parts.number,
                    .kind = static_cast<Request::Kind>(parts.kind),
                    .question = std::string(text_of(parts.rest))};
    check_question(request);
    return request;
}

Secret message_of(const Reply& reply) {
    Secret out(max_reply);
    out.append(head(reply.number, reply.result.index()));
    std::visit(
        [&](const auto& result) {
            using Type = std::decay_t<decltype(result)>;
            if constexpr (std::is_same_v<Type, Secret>)
                out.append(result.view());
            else if constexpr (std::is_enum_v<Type>)
                out.append(std::array{static_cast<std::uint8_t>(result)});
        },
        reply.result);
    return out;
}

Reply parse_reply(ByteView message) {
    const auto parts = split(message, max_reply);
    return {.number = parts.number, .result = parse_result(parts.kind, parts.rest)};
}

} // namespace sshtpm::prompt
