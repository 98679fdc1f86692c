#include "agent/parse.hpp"

#include "wire/reader.hpp"

namespace sshtpm::agent {

namespace {

SignRequest parse_sign_request(wire::Reader body) {
    SignRequest request;
    request.key_blob = copy_of(body.string());
    request.data = copy_of(body.string());
    request.flags = body.uint32();
    return request;
}

} // namespace

Request parse_request(ByteView message) {
    wire::Reader body(message);
    switch (const auto number = body.byte()) {
    case SSH_AGENTC_REQUEST_IDENTITIES:
        return RequestIdentities{};
    case SSH_AGENTC_SIGN_REQUEST:
        return parse_sign_request(body);
    default:
        return Unsupported{number};
    }
}

} // namespace sshtpm::agent
