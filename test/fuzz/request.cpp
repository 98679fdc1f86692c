// The body of a message from a client.

#include "agent/parse.hpp"
#include "base/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sshtpm;
    if (size == 0) // the frame buffer gives no empty message
        return 0;
    try {
        agent::parse_request(ByteView(data, size));
    } catch (const Error&) {
    }
    return 0;
}
