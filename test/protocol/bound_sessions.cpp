// SPDX-License-Identifier: MIT
#include "protocol/permission.hpp"
#include "protocol/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using namespace support;
using namespace sshtpm::protocol;

namespace {

Bytes body(const SessionBind& request) {
    return wire::Writer()
        .string(request.host_key)
        .string(request.session_id)
        .string(request.signature)
        .boolean(request.is_forwarding)
        .bytes();
}

SessionBind read_bind(ByteView bytes) {
    wire::Reader reader(bytes);
    return read_session_bind(reader);
}

SessionBind forwarded(std::string_view name) {
    auto request = vectors::session_bind(name);
    request.is_forwarding = true; // which the signature does not cover
    return request;
}

} // namespace

TEST_CASE("a session-bind of ssh is the host key, the session, the signature and what it is for") {
    const auto request = vectors::session_bind("login-direct-1-1");
    CHECK(request.host_key == vectors::key("host-a"));
    CHECK((request.session_id.size() == 32 || request.session_id.size() == 64)); // SHA-256 or SHA-512
    CHECK_FALSE(request.is_forwarding);
    CHECK(vectors::session_bind("login-three-2-1").is_forwarding);
    CHECK_FALSE(vectors::session_bind("login-three-2-2").is_forwarding);
    CHECK(vectors::session_bind("login-certificate-1-1").host_key == vectors::key("host-cert-cert"));
}

TEST_CASE("every truncation of a session-bind is refused") {
    CHECK(accepted_prefixes(body(vectors::session_bind("login-direct-1-1")), read_bind).empty());
}

TEST_CASE("a session id has 1 to 128 bytes") {
    SessionBind request;
    for (const auto& [size, accepted] : {std::pair(0, false), {1, true}, {128, true}, {129, false}}) {
        request.session_id.assign(static_cast<std::size_t>(size), 1);
        INFO(size);
        CHECK(refusal([&] { read_bind(body(request)); }).has_value() != accepted);
    }
}

TEST_CASE("a bind that is not signed by its host key is refused and remembered") {
    const auto good = vectors::session_bind("login-direct-1-1");
    const auto refused = [&](auto change) {
        auto request = good;
        change(request);
        BoundSessions bound;
        return !bound.bind(request) && bound.failed() && bound.attempted() && bound.sessions().empty();
    };
    CHECK(refused([](SessionBind& r) { r.session_id.front() ^= 1U; }));
    CHECK(refused([](SessionBind& r) { r.session_id.push_back(0); }));
    CHECK(refused([](SessionBind& r) { r.signature.back() ^= 1U; }));
    CHECK(refused([](SessionBind& r) { r.signature.clear(); }));
    CHECK(refused([](SessionBind& r) { r.host_key = vectors::key("host-b"); }));
    CHECK(refused([](SessionBind& r) { r.host_key.clear(); }));
    CHECK_FALSE(refused([](SessionBind&) {}));
}

TEST_CASE("a good bind after a refused one binds, and the refusal stays") {
    BoundSessions bound;
    auto bad = vectors::session_bind("login-direct-1-1");
    bad.signature.clear();
    CHECK_FALSE(bound.bind(bad));
    CHECK(bound.bind(vectors::session_bind("login-direct-1-1")));
    CHECK(bound.sessions().size() == 1);
    CHECK(bound.failed());
}

TEST_CASE("a bind that did not parse is remembered") {
    BoundSessions bound;
    CHECK_FALSE(bound.failed());
    CHECK_FALSE(bound.attempted());
    bound.note_failure();
    CHECK(bound.failed());
    CHECK(bound.attempted());
}

TEST_CASE(
    "the same session again changes nothing while it is forwarded, and another one to its host is bound") {
    BoundSessions bound;
    CHECK(bound.bind(forwarded("login-direct-1-1")));
    CHECK(bound.bind(forwarded("login-direct-1-1")));
    CHECK(bound.bind(vectors::session_bind("login-direct-1-1"))); // known: stays a forwarded one
    CHECK(bound.sessions().size() == 1);
    CHECK(bound.sessions().front().is_forwarding);
    CHECK(bound.bind(forwarded("login-three-1-1"))); // to the same host
    CHECK(bound.sessions().size() == 2);
    CHECK_FALSE(bound.failed());
}

TEST_CASE("a known session with another host key is refused") {
    const auto other = vectors::session_bind("bind-other-key");
    REQUIRE(other.session_id == vectors::session_bind("bind-1").session_id);
    REQUIRE(BoundSessions().bind(other)); // well signed
    BoundSessions bound;
    REQUIRE(bound.bind(forwarded("bind-1")));
    CHECK_FALSE(bound.bind(other));
    CHECK(bound.sessions().size() == 1);
    CHECK(bound.failed());
}

TEST_CASE("nothing is bound behind a session for authentication, not even that session again") {
    for (const auto name : {"login-direct-1-1", "login-three-1-1", "login-certificate-1-1"}) {
        BoundSessions bound;
        REQUIRE(bound.bind(vectors::session_bind("login-direct-1-1")));
        CHECK_FALSE(bound.bind(forwarded(name)));
        CHECK(bound.sessions().size() == 1);
        CHECK(bound.failed());
    }
}

TEST_CASE("sixteen sessions are bound, and the one after that is refused") {
    BoundSessions bound;
    for (int number = 1; number <= 16; ++number)
        REQUIRE(bound.bind(forwarded("bind-" + std::to_string(number))));
    CHECK(bound.bind(forwarded("bind-16"))); // known
    CHECK_FALSE(bound.failed());
    CHECK_FALSE(bound.bind(forwarded("bind-17")));
    CHECK(bound.sessions().size() == 16);
    CHECK(bound.failed());
}
