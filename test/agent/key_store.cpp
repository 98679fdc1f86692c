#include "agent/key_store.hpp"

#include "agent/identities.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using agent::HeldKey;
using support::an_identity;
using support::another_identity;

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
