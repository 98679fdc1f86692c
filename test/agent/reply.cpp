#include "agent/reply.hpp"

#include "agent/frame.hpp"
#include "agent/key_store.hpp"
#include "base/file.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/temp_folder.hpp"
#include "wire/reader.hpp"

using namespace sshtpm;

namespace {

std::shared_ptr<const identity::Identity> an_identity(const std::string& comment) {
    auto identity = identity::load_identity(support::data_path("keyfile/openssl-ec-p256.tpm"));
    identity.comment = comment;
    return std::make_shared<const identity::Identity>(std::move(identity));
}

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

} // namespace

TEST_CASE("the failure reply is one byte in its frame") {
    CHECK(agent::failure_reply() == Bytes{0, 0, 0, 1, 5});
}

TEST_CASE("a sign response is a string in its frame") {
    CHECK(agent::sign_reply(Bytes{1, 2}) == Bytes{0, 0, 0, 7, 14, 0, 0, 0, 2, 1, 2});
}

TEST_CASE("a list has its keys in order") {
    const std::vector identities{an_identity("one"), an_identity("two")};
    const auto listing = read_listing(agent::identities_reply(identities));
    CHECK(listing.count == 2);
    CHECK(listing.comments == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a list has at most 2048 keys") {
    const std::vector identities(3000, an_identity(""));
    CHECK(read_listing(agent::identities_reply(identities)).count == 2048);
}

TEST_CASE("a list stays below the longest message") {
    const std::vector identities(1000, an_identity(std::string(1000, 'c')));
    const auto reply = agent::identities_reply(identities);
    CHECK(reply.size() <= 4 + agent::max_message);
    CHECK(read_listing(reply).count > 200);
}

TEST_CASE("a key whose file was replaced is read again, and one whose file is gone or broken stays") {
    const support::TempFolder folder;
    const auto file = folder / "key.tpm";
    const auto text = support::data_text("keyfile/openssl-ec-p256.tpm");
    write_file(file, bytes_of(text), 0600, Existing::keep);
    const auto first = std::make_shared<const identity::Identity>(identity::load_identity(file));
    agent::KeyStore store({first});
    CHECK(store.refresh(first) == first);

    write_file(file, bytes_of("Comment: new\n" + text), 0600, Existing::replace);
    const auto second = store.refresh(first);
    CHECK(second != first);
    CHECK(second->comment == "new");
    CHECK(store.find(second->public_key.blob()) == second);
    CHECK(read_listing(*store.listing()).comments == std::vector<std::string>{"new"});

    write_file(file, bytes_of("broken"), 0600, Existing::replace);
    CHECK(store.refresh(second) == second);
    std::filesystem::remove(file);
    CHECK(store.refresh(second) == second);
}

TEST_CASE("a key is found by its own blob, and nothing else is") {
    const agent::KeyStore store({an_identity("one")});
    const auto blob = copy_of(an_identity("")->public_key.blob());
    REQUIRE(store.find(blob) != nullptr);
    CHECK(store.find(blob)->comment == "one");
    CHECK(store.find(ByteView(blob).first(blob.size() - 1)) == nullptr);
    CHECK(store.find({}) == nullptr);
}
