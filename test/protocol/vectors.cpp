// SPDX-License-Identifier: MIT
#include "protocol/vectors.hpp"

#include "base/base64.hpp"
#include "protocol/message.hpp"
#include "support/test.hpp"

#include <map>
#include <sstream>
#include <stdexcept>

using namespace sshtpm;
using namespace support;

namespace vectors {

namespace {

using Messages = std::vector<std::pair<std::string, Bytes>>;

/// Read once: some tests ask for a message a thousand times.
const Messages& all_messages() {
    static const Messages all = [] {
        std::istringstream text(data_text("protocol/messages.txt"));
        Messages out;
        for (std::string name, digits; text >> name >> digits;)
            out.emplace_back(name, unhex(digits));
        return out;
    }();
    return all;
}

/// The blobs of the keys, each a line "name type base64".
const std::map<std::string, Bytes, std::less<>>& all_keys() {
    static const auto all = [] {
        std::istringstream text(data_text("protocol/keys.txt"));
        std::map<std::string, Bytes, std::less<>> out;
        for (std::string name, type, blob; text >> name >> type >> blob;)
            out.emplace(name, base64_decode(blob));
        return out;
    }();
    return all;
}

template <class Part>
Part part_of(const Bytes& message) {
    return std::get<Part>(protocol::parse_request(message));
}

/// The messages of one connection, in order.
std::vector<Bytes> conversation(std::string_view connection) {
    std::vector<Bytes> out;
    for (const auto& [name, bytes] : all_messages())
        if (name.starts_with(std::string(connection) + "-"))
            out.push_back(bytes);
    return out;
}

} // namespace

Bytes message(std::string_view name) {
    for (const auto& [recorded, bytes] : all_messages())
        if (recorded == name)
            return bytes;
    throw std::invalid_argument("no vector " + std::string(name));
}

Bytes key(std::string_view name) {
    const auto found = all_keys().find(name);
    if (found == all_keys().end())
        throw std::invalid_argument("no vector " + std::string(name));
    return found->second;
}

protocol::SessionBind session_bind(std::string_view name) {
    return part_of<protocol::SessionBind>(message(name));
}

protocol::BoundSessions sessions(std::string_view connection, std::size_t count) {
    protocol::BoundSessions bound;
    for (const auto& message : conversation(connection))
        if (message.front() == protocol::SSH_AGENTC_EXTENSION && bound.sessions().size() < count)
            bound.bind(part_of<protocol::SessionBind>(message));
    return bound;
}

protocol::SignRequest signed_on(std::string_view connection) {
    return part_of<protocol::SignRequest>(conversation(connection).back());
}

} // namespace vectors
