// SPDX-License-Identifier: MIT
// The stream of a client, cut into messages: the first byte of the input is the size of the pieces it comes
// in.

#include "protocol/frame.hpp"

#include "fuzz/target.hpp"

#include <algorithm>

FUZZ_TARGET(frame) {
    using namespace sshtpm;
    ByteView stream(data, size);
    if (stream.empty())
        return;
    const std::size_t piece = stream.front() + 1U;
    stream = stream.subspan(1);
    protocol::FrameBuffer frames;
    Bytes again; // what came out, framed anew, must be the start of what went in
    const auto whole = stream;
    attempt([&] {
        while (!stream.empty()) {
            const auto room = frames.writable();
            const auto count = std::min({room.size(), stream.size(), piece});
            std::copy_n(stream.begin(), count, room.begin());
            frames.wrote(count);
            stream = stream.subspan(count);
            while (const auto message = frames.next())
                append(again, protocol::framed(*message));
        }
    });
    require(again.size() <= whole.size() && equal(again, whole.first(again.size())));
}
