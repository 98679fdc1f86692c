#include "protocol/vectors.hpp"

#include "base/base64.hpp"
#include "protocol/parse.hpp"
#include "support/data.hpp"
#include "support/hex.hpp"

#include <sstream>

using namespace sshtpm;

namespace vectors {

namespace {

/// The rest of the line that begins with the name.
std::string line_of(std::string_view file, std::string_view name) {
    std::istringstream text(support::data_text("protocol/" + std::string(file)));
    const auto begin = std::string(name) + " ";
    for (std::string line; std::getline(text, line);)
        if (line.starts_with(begin))
            return line.substr(begin.size());
    throw std::invalid_argument("no vector " + std::string(name));
}

template <class Part>
Part part_of(const Bytes& message) {
    return std::get<Part>(protocol::parse_request(message));
}

/// The messages of one connection, in order.
std::vector<Bytes> conversation(std::string_view connection) {
    std::vector<Bytes> out;
    for (auto& [name, bytes] : messages())
        if (name.starts_with(std::string(connection) + "-"))
            out.push_back(std::move(bytes));
    return out;
}

} // namespace

Bytes message(std::string_view name) {
    return support::unhex(line_of("messages.txt", name));
}

std::vector<std::pair<std::string, Bytes>> messages() {
    std::istringstream text(support::data_text("protocol/messages.txt"));
    std::vector<std::pair<std::string, Bytes>> out;
    for (std::string name, digits; text >> name >> digits;)
        out.emplace_back(name, support::unhex(digits));
    return out;
}

Bytes key(std::string_view name) {
    const auto line = line_of("keys.txt", name);
    return base64_decode(line.substr(line.find(' ') + 1));
}

protocol::SignRequest sign_request(std::string_view name) {
    return part_of<protocol::SignRequest>(message(name));
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
