// SPDX-License-Identifier: MIT
// The body of a message from a client.

#include "fuzz/target.hpp"
#include "protocol/message.hpp"

FUZZ_TARGET(request) {
    using namespace sshtpm;
    if (size != 0) // the frame buffer gives no empty message
        attempt([&] { protocol::parse_request(ByteView(data, size)); });
}
