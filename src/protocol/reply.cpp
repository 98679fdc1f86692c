// SPDX-License-Identifier: MIT
#include "protocol/reply.hpp"

#include "base/printable.hpp"
#include "protocol/frame.hpp"
#include "protocol/message.hpp"
#include "ssh/verify.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cstdint>

namespace sshtpm::protocol {

namespace {

constexpr std::size_t longest_explanation = 1000;

}

Bytes identities_reply(std::vector<ListedKey> keys) {
    std::ranges::stable_partition(keys, [](const ListedKey& key) { return ssh::is_plain_key(key.blob); });
    constexpr std::size_t head = 1 + 4, two_lengths = 8;
    wire::Writer entries;
    std::uint32_t count = 0;
    for (const auto& key : keys) {
        const auto size = two_lengths + key.blob.size() + key.comment.size();
        if (count == max_listed_keys || head + entries.bytes().size() + size > max_message)
            continue;
        entries.string(key.blob).text(key.comment);
        ++count;
    }
    return framed(
        wire::Writer().byte(SSH_AGENT_IDENTITIES_ANSWER).uint32(count).raw(entries.bytes()).bytes());
}

std::vector<ListedKey> read_identities_reply(ByteView message) {
    wire::Reader reader(message);
    if (const auto number = reader.byte(); number != SSH_AGENT_IDENTITIES_ANSWER)
        throw Error(Errc::malformed, "message " + std::to_string(number) + " in answer to a list request");
    const auto count = reader.uint32();
    if (count > max_listed_keys)
        throw Error(Errc::malformed, "a list of " + std::to_string(count) + " keys");
    std::vector<ListedKey> keys;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto blob = reader.string();
        (void)wire::Reader(blob).text();
        keys.push_back({blob, reader.text()});
    }
    reader.expect_end();
    return keys;
}

Bytes sign_reply(ByteView signature) {
    return framed(wire::Writer().byte(SSH_AGENT_SIGN_RESPONSE).string(signature).bytes());
}

Bytes query_reply(std::span<const std::string_view> extensions) {
    wire::Writer message;
    message.byte(SSH_AGENT_EXTENSION_RESPONSE).text(extension::query);
    for (const auto& name : extensions)
        message.text(name);
    return framed(message.bytes());
}

Bytes status_reply(const AgentStatus& status) {
    wire::Writer message;
    message.byte(SSH_AGENT_EXTENSION_RESPONSE).text(extension::status);
    for (const auto& [name, value] : status)
        message.text(name).text(value);
    return framed(message.bytes());
}

Bytes explained_failure(const Error& error) {
    return framed(wire::Writer()
                      .byte(SSH_AGENT_EXTENSION_FAILURE)
                      .text(printable(error.what(), longest_explanation))
                      .text(printable(error.hint(), longest_explanation))
                      .bytes());
}

Error failure_in(ByteView message) {
    Error plain(Errc::refused, std::string(refused_operation));
    try { // caught because other agents may put anything behind the number
        wire::Reader reader(message);
        if (reader.byte() != SSH_AGENT_EXTENSION_FAILURE || reader.empty())
            return plain;
        const auto text = printable(reader.text(), longest_explanation);
        const auto hint = printable(reader.text(), longest_explanation);
        return text.empty() ? plain : Error(Errc::refused, text, hint);
    } catch (const Error&) {
        return plain;
    }
}

Bytes try_pin_reply(PinOutcome outcome, std::uint32_t tries_left, std::string_view text) {
    return framed(wire::Writer()
                      .byte(SSH_AGENT_EXTENSION_RESPONSE)
                      .text(extension::tpm_try_pin)
                      .byte(static_cast<std::uint8_t>(outcome))
                      .uint32(tries_left)
                      .text(text)
                      .bytes());
}

} // namespace sshtpm::protocol
