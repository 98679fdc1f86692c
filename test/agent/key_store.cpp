// SPDX-License-Identifier: MIT
#include "agent/key_store.hpp"

#include "agent/identities.hpp"
#include "support/catch.hpp"

#include <cstdint>

#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using namespace std::chrono_literals;
using agent::KeyEntry;
using support::an_identity;
using support::another_identity;

namespace {

const protocol::Constraints confirmed{.lifetime = {}, .confirm = true, .destinations = {}};

Bytes blob_of(const agent::IdentityPtr& identity) {
    return copy_of(identity->public_key.blob());
}

/// Another file of the same key, with another PIN.
agent::IdentityPtr other_file(const agent::IdentityPtr& identity) {
    keyfile::KeyFile file = *identity->key;
    file.private_area.buffer[0] ^= 1;
    return std::make_shared<const identity::Identity>(identity::make_identity(std::move(file), "other file"));
}

tpm::Auth pin(std::string_view text) {
    return std::make_shared<const Secret>(Secret::copy_of(bytes_of(text)));
}

/// A store with one key whose PIN is known.
struct WithPin {
    explicit WithPin(const KeyEntry& key = {.identity = an_identity("one")},
                     std::optional<agent::PinLifetime> lifetime = agent::PinLifetime{})
        : store(lifetime) {
        store.add(key);
        kept = store.keep_pin(*entry(), pin("1234"));
    }

    agent::KeyEntryPtr entry() { return store.find(blob_of(an_identity(""))); }
    bool knows() { return entry() && store.use_pin(*entry()).has_value(); }

    agent::KeyStore store;
    bool kept = false;
};

} // namespace

TEST_CASE("only keys with destinations make the list depend on the connection") {
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    CHECK(store.is_listing_fixed());
    protocol::Constraints constraints;
    constraints.destinations.emplace_back();
    store.add({.identity = another_identity("two"), .constraints = constraints});
    CHECK_FALSE(store.is_listing_fixed());
    protocol::BoundSessions failed;
    failed.note_failure();
    CHECK(store.visible({}).size() == 2);
    REQUIRE(store.visible(failed).size() == 1);
    CHECK(store.visible(failed)[0]->identity->comment == "one");
    store.clear();
    CHECK(store.is_listing_fixed());
}

TEST_CASE("an expired certificate is not listed, and still found") {
    const auto identity = an_identity("one");
    const Bytes blob(10, 1);
    const auto now = std::chrono::system_clock::now();
    const auto seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    const auto [end, listed] = GENERATE_COPY(table<std::uint64_t, bool>(
        {{0, false}, {seconds, false}, {seconds + 3600, true}, {ssh::Certificate::forever - 1, true}}));
    agent::KeyStore store;
    store.add({.identity = identity});
    store.add({.identity = identity,
               .certificate = ssh::Certificate{
                   .blob = blob, .public_key = identity->public_key, .key_id = "", .valid_before = end}});
    CHECK_FALSE(store.is_listing_fixed());
    CHECK(store.visible({}).size() == (listed ? 2 : 1));
    CHECK(store.find_entry(blob));
    store.remove(blob);
    CHECK(store.is_listing_fixed());
}

TEST_CASE("a use of a key lasts while its entry is there with the same constraints") {
    boost::asio::io_context loop;
    agent::KeyStore store;
    store.add({.identity = an_identity("one")});
    store.add({.identity = another_identity("two")});
    const auto blob = blob_of(an_identity(""));
    const auto use = store.use(loop.get_executor(), store.find(blob), blob);
    store.remove(another_identity("")->public_key.blob());
    store.add({.identity = an_identity("the same again"), .dies = os::BootClock::now() + 9s});
    CHECK_FALSE(use->ended());
    SECTION("other constraints") {
        store.add({.identity = an_identity("one"), .constraints = confirmed});
    }
    SECTION("another file") {
        store.add({.identity = other_file(an_identity("one"))});
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

TEST_CASE("a PIN is known for its key alone, until it is forgotten or its key goes") {
    WithPin keys;
    REQUIRE(keys.kept);
    keys.store.add({.identity = another_identity("other")});
    CHECK(text_of(keys.store.use_pin(*keys.entry()).value()->view()) == "1234");
    CHECK_FALSE(keys.store.use_pin(*keys.store.find(another_identity("")->public_key.blob())));
    SECTION("forgotten") {
        keys.store.forget_pin(*keys.entry());
    }
    SECTION("all are forgotten") {
        keys.store.forget_all_pins();
    }
    SECTION("removed and added again") {
        keys.store.remove(blob_of(an_identity("")));
        keys.store.add({.identity = an_identity("one")});
    }
    CHECK_FALSE(keys.knows());
}

TEST_CASE("a PIN moves along when its key is added again, unless that is looser or has another file") {
    WithPin keys({.identity = an_identity("one"), .constraints = confirmed});
    const auto [constraints, identity, known] =
        GENERATE(table<protocol::Constraints, agent::IdentityPtr, bool>(
            {{confirmed, an_identity("again"), true},
             {protocol::Constraints{}, an_identity("looser"), false},
             {confirmed, other_file(an_identity("")), false}}));
    keys.store.add({.identity = identity, .constraints = constraints});
    CHECK(keys.knows() == known);
}

TEST_CASE("a certificate uses the PIN of its key, and a key that of its certificate, unless it is looser") {
    const auto certificate = GENERATE(false, true);
    KeyEntry with_pin{.identity = an_identity("one"), .constraints = confirmed}, other = with_pin;
    (certificate ? with_pin : other).certificate =
        ssh::Certificate{.blob = copy_of(bytes_of("a certificate")),
                         .public_key = with_pin.identity->public_key,
                         .key_id = {}};
    WithPin keys(with_pin);
    keys.store.add(other);
    const auto entry = keys.store.find_entry(other.blob());
    CHECK(keys.store.use_pin(*entry));
    entry->constraints = {};
    CHECK_FALSE(keys.store.use_pin(*entry));
}

TEST_CASE("a PIN goes after its idle time, and after its whole time however much it is used") {
    const auto start = os::BootClock::now();
    const auto [idle, total, end] = GENERATE(table<std::chrono::seconds, std::chrono::seconds, int>(
        {{10s, 25s, 10}, {25s, 10s, 10}, {30min, 8h, 30 * 60}}));
    WithPin keys({.identity = an_identity("one")}, agent::PinLifetime{.idle = idle, .total = total});
    keys.store.expire(start + std::chrono::seconds(end - 1));
    CHECK(keys.entry()->pin);
    keys.store.expire(os::BootClock::now() + std::chrono::seconds(end));
    CHECK_FALSE(keys.knows());
}

TEST_CASE("a use of a PIN puts off the end of its idle time, but not of its whole time") {
    for (const auto idle : {10s, 25s}) {
        WithPin keys({.identity = an_identity("one")}, agent::PinLifetime{.idle = idle, .total = 25s});
        auto& known = *keys.entry()->pin;
        const auto end = os::BootClock::now() + idle;
        known.typed -= 1s;
        known.used = known.typed;
        REQUIRE(keys.knows());
        keys.store.expire(end - 500ms);
        CHECK(keys.entry()->pin.has_value() == (idle == 10s));
    }
}

TEST_CASE("a PIN goes at the end of the key that it was typed for, also when that is added for longer") {
    const auto end = os::BootClock::now() + 10s;
    WithPin keys({.identity = an_identity("one"), .dies = end});
    keys.store.add({.identity = an_identity("one")});
    CHECK(keys.knows());
    keys.store.expire(end);
    CHECK(keys.entry());
    CHECK_FALSE(keys.knows());
}

TEST_CASE("without a lifetime for PINs none is kept") {
    WithPin keys({.identity = an_identity("one")}, std::nullopt);
    CHECK_FALSE(keys.kept);
    CHECK_FALSE(keys.knows());
}

TEST_CASE("unless it is told otherwise, a PIN is kept for 30 minutes after its use and 8 hours in all") {
    CHECK(agent::PinLifetime{}.idle == 30min);
    CHECK(agent::PinLifetime{}.total == 8h);
}
