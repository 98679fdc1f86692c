#include "agent/pin_cache.hpp"

#include "agent/identities.hpp"
#include "support/catch.hpp"

using namespace sshtpm;
using namespace std::chrono_literals;

namespace {

tpm::Auth pin(std::string_view text) {
    return std::make_shared<const Secret>(Secret::copy_of(bytes_of(text)));
}

} // namespace

TEST_CASE("a PIN is known for its key alone, until it is forgotten") {
    const auto key = support::an_identity("")->public_key, other = support::another_identity("")->public_key;
    agent::PinCache cache(agent::PinLifetime{});
    CHECK_FALSE(cache.use(key));
    REQUIRE(cache.remember(key, pin("1234")));
    CHECK(text_of(cache.use(key).value()->view()) == "1234");
    CHECK_FALSE(cache.knows(other));
    cache.forget(key);
    CHECK_FALSE(cache.knows(key));
}

TEST_CASE("a PIN goes after its idle time, and after its whole time however much it is used") {
    const auto key = support::an_identity("")->public_key;
    agent::PinCache cache(agent::PinLifetime{.idle = 10s, .total = 25s});
    const auto start = os::BootClock::now();
    REQUIRE(cache.remember(key, pin("1234")));
    const auto expiry = cache.next_expiry().value();
    CHECK(expiry >= start + 10s);
    CHECK(expiry < start + 20s);
    cache.expire(start + 9s);
    CHECK(cache.knows(key));
    cache.expire(expiry);
    CHECK_FALSE(cache.knows(key));
    CHECK_FALSE(cache.next_expiry());
}

TEST_CASE("a use of a PIN puts off the end of its idle time, but not of its whole time") {
    const auto key = support::an_identity("")->public_key;
    for (const auto idle : {10s, 100s}) {
        agent::PinCache cache(agent::PinLifetime{.idle = idle, .total = 25s});
        REQUIRE(cache.remember(key, pin("1234")));
        const auto first = cache.next_expiry().value();
        for (const auto before = os::BootClock::now(); os::BootClock::now() <= before;)
            ; // until the clock has moved
        REQUIRE(cache.use(key));
        if (idle == 10s)
            CHECK(cache.next_expiry().value() > first);
        else
            CHECK((cache.next_expiry().value() == first && first <= os::BootClock::now() + 25s));
    }
}

TEST_CASE("unless it is told otherwise, a PIN is kept for 30 minutes after its use and 8 hours in all") {
    const auto key = support::an_identity("")->public_key;
    const auto start = os::BootClock::now();
    agent::PinCache cache(agent::PinLifetime{});
    REQUIRE(cache.remember(key, pin("1234")));
    const auto expiry = cache.next_expiry().value();
    CHECK(expiry >= start + 30min);
    CHECK(expiry < start + 31min);
    CHECK(agent::PinLifetime{}.total == 8h);
}

TEST_CASE("a PIN is forgotten when the lifetime of its key ends") {
    const auto key = support::an_identity("")->public_key;
    const auto end = os::BootClock::now() + 10s;
    agent::PinCache cache(agent::PinLifetime{});
    REQUIRE(cache.remember(key, pin("1234"), end));
    CHECK(cache.next_expiry() == end);
    CHECK(cache.use(key)); // which makes it no longer
    CHECK(cache.next_expiry() == end);
    cache.expire(end);
    CHECK_FALSE(cache.knows(key));
}
