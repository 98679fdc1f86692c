#include "agent/key_store.hpp"

#include "agent/identities.hpp"
#include "support/catch.hpp"
#include "wire/reader.hpp"

#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using agent::HeldKey;
using support::an_identity;
using support::another_identity;

namespace {

std::vector<std::string> comments(const agent::KeyStore& store) {
    wire::Reader frame(*store.listing());
    wire::Reader body(frame.string());
    CHECK(body.byte() == 12);
    std::vector<std::string> out(body.uint32());
    for (auto& comment : out) {
        body.string();
        comment = body.text();
    }
    body.expect_end();
    return out;
}

} // namespace

TEST_CASE("a key is found by its own blob, and nothing else is") {
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    const auto blob = copy_of(an_identity("")->public_key.blob());
    REQUIRE(store.find(blob) != nullptr);
    CHECK(store.find(blob)->identity->comment == "one");
    CHECK(store.find(ByteView(blob).first(blob.size() - 1)) == nullptr);
    CHECK(store.find({}) == nullptr);
    CHECK(store.find(another_identity("")->public_key.blob()) == nullptr);
}

TEST_CASE("a key that is added again takes the place of the first") {
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    store.add({.identity = another_identity("two")});
    store.add({.identity = an_identity("three"),
               .constraints = {.lifetime = {}, .confirm = true, .destinations = {}}});
    CHECK(comments(store) == std::vector<std::string>{"three", "two"});
    CHECK(store.find(an_identity("")->public_key.blob())->constraints.confirm);
}

TEST_CASE("a key that is removed is gone, and removing it again says so") {
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    const auto blob = copy_of(an_identity("")->public_key.blob());
    CHECK(store.remove(blob) != nullptr);
    CHECK(store.remove(blob) == nullptr);
    CHECK(comments(store).empty());
}

TEST_CASE("keys go when they have lived their time, and not before") {
    using namespace std::chrono_literals;
    const auto now = os::BootClock::now();
    agent::KeyStore store;
    CHECK_FALSE(store.next_death());
    store.add({.identity = an_identity("short"), .dies = now + 1s});
    store.add({.identity = another_identity("long"), .dies = now + 2s});
    CHECK(store.next_death() == now + 1s);
    CHECK(store.expire(now).empty());
    CHECK(store.expire(now + 1s).size() == 1);
    CHECK(comments(store) == std::vector<std::string>{"long"});
    CHECK(store.next_death() == now + 2s);
}

TEST_CASE("only keys with destinations make the list depend on the connection") {
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    CHECK_FALSE(store.restricted());
    protocol::Constraints constraints;
    constraints.destinations.emplace_back();
    store.add({.identity = another_identity("two"), .constraints = constraints});
    CHECK(store.restricted());
    protocol::BoundSessions failed;
    failed.note_failure();
    CHECK(store.visible({}).size() == 2);
    REQUIRE(store.visible(failed).size() == 1);
    CHECK(store.visible(failed)[0]->identity->comment == "one");
    store.clear();
    CHECK_FALSE(store.restricted());
}

TEST_CASE("a use of a key lasts while its line is there on the same terms") {
    boost::asio::io_context loop;
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    store.add({.identity = another_identity("two")});
    const auto blob = copy_of(an_identity("")->public_key.blob());
    const auto use = store.use(loop.get_executor(), store.find(blob), blob);
    store.remove(another_identity("")->public_key.blob());
    store.add({.identity = an_identity("the same again")});
    CHECK_FALSE(use->ended());
    SECTION("other terms") {
        store.add({.identity = an_identity("one"),
                   .constraints = {.lifetime = {}, .confirm = true, .destinations = {}}});
    }
    SECTION("removed") {
        store.remove(blob);
    }
    SECTION("all uses end") {
        store.end_uses();
    }
    CHECK(use->ended());
}

TEST_CASE("a use of an upstream agent's key ends with that key, or with all") {
    boost::asio::io_context loop;
    agent::KeyStore store;
    const auto one = store.use(loop.get_executor(), nullptr, bytes_of("one")),
               other = store.use(loop.get_executor(), nullptr, bytes_of("other"));
    store.add({.identity = an_identity("ours")});
    store.end_upstream_uses(bytes_of("one"));
    CHECK(one->ended());
    CHECK_FALSE(other->ended());
    store.end_upstream_uses();
    CHECK(other->ended());
}

TEST_CASE("a line is looser than others of its key, and others than it") {
    agent::KeyStore store;
    const HeldKey free{.identity = an_identity("one")},
        confirmed{.identity = an_identity("one"),
                  .constraints = {.lifetime = {}, .confirm = true, .destinations = {}}};
    CHECK_FALSE(store.would_loosen(free));
    store.add(confirmed);
    CHECK(store.would_loosen(free));
    CHECK_FALSE(store.would_loosen({.identity = another_identity("two")}));
    CHECK_FALSE(store.has_looser(free));
    store.add(free);
    CHECK(store.has_looser(confirmed));
    CHECK_FALSE(store.has_looser(free));
}
