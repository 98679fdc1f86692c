#include "protocol/reply.hpp"

#include "protocol/frame.hpp"
#include "protocol/message.hpp"
#include "support/catch.hpp"
#include "wire/reader.hpp"

#include <array>
#include <string>
#include <vector>

using namespace sshtpm;

namespace {

/// The fields of an identities answer: how many it says, and the comments it has.
struct Listing {
    std::uint32_t count = 0;
    std::vector<std::string> comments;
};

Listing read_listing(ByteView framed) {
    wire::Reader frame(framed);
    wire::Reader body(frame.string());
    frame.expect_end();
    CHECK(body.byte() == 12);
    Listing out{.count = body.uint32(), .comments = {}};
    for (std::uint32_t i = 0; i < out.count; ++i) {
        body.string();
        out.comments.emplace_back(body.text());
    }
    body.expect_end();
    return out;
}

const Bytes blob(100, 7);

} // namespace

TEST_CASE("the short replies are one byte in their frame") {
    CHECK(protocol::failure_reply() == Bytes{0, 0, 0, 1, 5});
    CHECK(protocol::success_reply() == Bytes{0, 0, 0, 1, 6});
    CHECK(protocol::extension_failure_reply() == Bytes{0, 0, 0, 1, 28});
}

TEST_CASE("a sign response is a string in its frame") {
    CHECK(protocol::sign_reply(Bytes{1, 2}) == Bytes{0, 0, 0, 7, 14, 0, 0, 0, 2, 1, 2});
}

TEST_CASE("a list has its keys in order") {
    const std::vector<protocol::ListedKey> keys{{blob, "one"}, {blob, "two"}};
    const auto listing = read_listing(protocol::identities_reply(keys));
    CHECK(listing.count == 2);
    CHECK(listing.comments == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a list has at most 2048 keys") {
    const std::vector<protocol::ListedKey> keys(3000, {blob, ""});
    CHECK(read_listing(protocol::identities_reply(keys)).count == 2048);
}

TEST_CASE("a list stays below the longest message") {
    const std::string comment(1000, 'c');
    const std::vector<protocol::ListedKey> keys(1000, {blob, comment});
    const auto reply = protocol::identities_reply(keys);
    CHECK(reply.size() <= 4 + protocol::max_message);
    CHECK(read_listing(reply).count > 200);
}

TEST_CASE("the answer to a query is its name and the extensions, in one frame") {
    constexpr std::array<std::string_view, 2> names{"a", "bc"};
    const auto reply = protocol::query_reply(names);
    wire::Reader outer(reply);
    wire::Reader body(outer.string());
    outer.expect_end();
    CHECK(body.byte() == 29);
    CHECK(body.text() == "query");
    CHECK(body.text() == "a");
    CHECK(body.text() == "bc");
    CHECK(body.empty());
}
