// The body of a message from a client.

#include "base/error.hpp"
#include "protocol/parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sshtpm;
    if (size == 0) // the frame buffer gives no empty message
        return 0;
    try {
        protocol::parse_request(ByteView(data, size));
    } catch (const Error&) {
    }
    return 0;
}
