// SPDX-License-Identifier: MIT
#include "protocol/frame.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cstdint>

using namespace sshtpm;
using protocol::FrameBuffer;

namespace {

/// Feeds bytes as a socket would, in pieces of at most `piece`, and gives back the messages.
std::vector<Bytes> messages_of(FrameBuffer& frames, ByteView stream, std::size_t piece) {
    std::vector<Bytes> out;
    while (!stream.empty()) {
        const auto room = frames.writable();
        const auto count = std::min({room.size(), stream.size(), piece});
        std::copy_n(stream.begin(), count, room.begin());
        frames.wrote(count);
        stream = stream.subspan(count);
        while (const auto message = frames.next())
            out.push_back(copy_of(*message));
    }
    return out;
}

Bytes header(std::uint32_t length) {
    return wire::Writer().uint32(length).bytes();
}

} // namespace

TEST_CASE("messages come out as they were framed, however the stream is cut") {
    std::vector<Bytes> sent{{11}, Bytes(5000, 7), {13, 1, 2, 3}, Bytes(protocol::max_message, 9), {5}};
    Bytes stream;
    for (const auto& message : sent)
        append(stream, protocol::framed(message));
    for (const std::size_t piece : {1U, 3U, 1024U, 1000000U}) {
        FrameBuffer frames;
        CHECK(messages_of(frames, stream, piece) == sent);
        CHECK_FALSE(frames.begun());
    }
}

TEST_CASE("a message has 1 byte to 256 KiB") {
    constexpr std::uint32_t lengths[] = {0, protocol::max_message + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (const auto length : lengths) {
        FrameBuffer frames;
        CHECK_THROWS_AS(messages_of(frames, header(length), 4), Error);
    }
}

TEST_CASE("after a large message the memory is given back") {
    FrameBuffer frames;
    CHECK(messages_of(frames, protocol::framed(Bytes(200000, 1)), 65536).size() == 1);
    CHECK(frames.writable().size() <= 4096);
}
