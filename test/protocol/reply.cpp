#include "protocol/reply.hpp"

#include "protocol/frame.hpp"
#include "support/catch.hpp"
#include "wire/reader.hpp"

using namespace sshtpm;

namespace {

/// The number of keys in a list; checks that the list has as many as it says, and nothing behind them.
std::size_t keys_in(ByteView framed) {
    wire::Reader frame(framed);
    wire::Reader body(frame.string());
    frame.expect_end();
    CHECK(body.byte() == 12);
    const auto count = body.uint32();
    for (std::uint32_t i = 0; i < 2 * count; ++i)
        body.string();
    body.expect_end();
    return count;
}

const Bytes blob(100, 7);

} // namespace

TEST_CASE("a list has at most 2048 keys, and stays below the longest message") {
    CHECK(keys_in(protocol::identities_reply(std::vector<protocol::ListedKey>(3000, {blob, ""}))) == 2048);
    const std::string comment(1000, 'c');
    const auto reply = protocol::identities_reply(std::vector<protocol::ListedKey>(1000, {blob, comment}));
    CHECK(reply.size() <= 4 + protocol::max_message);
    CHECK(keys_in(reply) > 200);
}
