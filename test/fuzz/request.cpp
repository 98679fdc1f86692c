// The body of a message from a client.

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "protocol/parse.hpp"

FUZZ_TARGET(request) {
    using namespace sshtpm;
    if (size == 0) // the frame buffer gives no empty message
        return;
    try {
        protocol::parse_request(ByteView(data, size));
    } catch (const Error&) {
    }
}
