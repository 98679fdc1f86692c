// SPDX-License-Identifier: MIT
#include "protocol/permission.hpp"

#include "protocol/vectors.hpp"
#include "support/catch.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using namespace sshtpm::protocol;

namespace {

/// "" is this machine, "a" the host with the key host-a, "@ca:NAME" what the authority ca says is NAME.
Hop hop(std::string_view word) {
    Hop out;
    if (word.starts_with('@')) {
        const auto colon = word.find(':');
        out.host = word.substr(colon + 1);
        out.keys = {{vectors::key(word.substr(1, colon - 1)), true}};
    } else if (!word.empty()) {
        out.host = "host-" + std::string(word);
        out.keys = {{vectors::key(out.host)}};
    }
    return out;
}

/// Constraints from words as ssh-add -h takes them: "a", "a>b", "a>user@b" (with / for the @ of users).
Constraints rules(std::string_view words) {
    Constraints out;
    while (!words.empty()) {
        const auto word = words.substr(0, words.find(' '));
        words.remove_prefix(std::min(words.size(), word.size() + 1));
        const auto arrow = word.find('>');
        const auto from = arrow == std::string_view::npos ? "" : word.substr(0, arrow);
        auto to = arrow == std::string_view::npos ? word : word.substr(arrow + 1);
        std::string user;
        if (const auto slash = to.find('/'); slash != std::string_view::npos) {
            user = to.substr(0, slash);
            to.remove_prefix(slash + 1);
        }
        out.destinations.push_back({hop(from), hop(to)});
        out.destinations.back().to.user = user;
    }
    return out;
}

bool signs(std::string_view words, std::string_view connection) {
    const auto request = vectors::signed_on(connection);
    return may_sign(rules(words), vectors::sessions(connection), request.key_blob, request.data);
}

bool signs_on(const Constraints& constraints, const BoundSessions& bound, const SignRequest& request) {
    return may_sign(constraints, bound, request.key_blob, request.data);
}

constexpr auto direct = "login-direct-1";
constexpr auto second = "login-three-2"; // here > a > b
constexpr auto third = "login-three-3";  // here > a > b > c
constexpr auto certified = "login-certificate-1";

} // namespace

TEST_CASE("a key signs at the end of a path of which each hop is permitted") {
    struct Row {
        std::string_view rules, connection;
        bool permitted;
    };
    const Row rows[] = {
        {"a", direct, true},         {"b", direct, false},        {"b a", direct, true},
        {"a>b", direct, false},      {"b>a", direct, false},      {"a a>b", direct, true},

        {"a a>b", second, true},     {"a>b a", second, true},     {"a", second, false},
        {"a>b", second, false},      {"b", second, false},        {"a b", second, false},
        {"a b>a", second, false},    {"a a>c", second, false},    {"a a>b b>c", second, true},

        {"a a>b b>c", third, true},  {"a a>b", third, false},     {"a b>c", third, false},
        {"a>b b>c", third, false},   {"a a>b a>c", third, false}, {"a b c", third, false},
        {"a a>b b>a", third, false},
    };
    for (const auto& row : rows) {
        INFO(row.rules << " on " << row.connection);
        CHECK(signs(row.rules, row.connection) == row.permitted);
    }
}

TEST_CASE("the user is compared at the last hop, by one pattern") {
    for (const auto* words : {"root/a", "r*t/a", "r??t/a", "*/a", "alice/a root/a"}) {
        INFO(words);
        CHECK(signs(words, direct));
    }
    // A list of patterns is none to ssh-agent.
    for (const auto* words : {"alice/a", "Root/a", "r?t/a", "alice,root/a", "!alice/a"}) {
        INFO(words);
        CHECK_FALSE(signs(words, direct));
    }
    CHECK(signs("alice/a a>b", second));
    CHECK(signs("alice/a a>root/b", second));
    CHECK_FALSE(signs("alice/a a>bob/b", second));
}

TEST_CASE("a host with a certificate is known by its authority, a plain one by its key") {
    // The certificate says w?ld* too.
    for (const auto* words : {"@ca:host-cert", "@ca:wild-at-heart", "root/@ca:host-cert"}) {
        INFO(words);
        CHECK(signs(words, certified));
    }
    // "cert-cert" is the certificate itself, named as a plain key.
    for (const auto* words : {"alice/@ca:host-cert", "@ca:host-other", "@other-ca:host-cert", "cert-cert",
                              "@host-cert-cert:host-cert", "a"}) {
        INFO(words);
        CHECK_FALSE(signs(words, certified));
    }
    const TimePoint too_early = TimePoint{} - std::chrono::seconds(1);
    CHECK_FALSE(may_see(rules("@ca:host-cert"), vectors::sessions(certified), too_early));
    auto not_as_authority = rules("@ca:host-cert");
    not_as_authority.destinations.front().to.keys.front().is_ca = false;
    CHECK_FALSE(may_see(not_as_authority, vectors::sessions(certified)));
    CHECK_FALSE(signs("@host-a:host-a", direct));
    CHECK_FALSE(signs("@ca:host-a", direct));
}

TEST_CASE("a key without destinations signs anything, anywhere") {
    auto broken = vectors::sessions(direct);
    broken.note_failure();
    for (const auto& bound :
         {BoundSessions{}, broken, vectors::sessions(third), vectors::sessions(third, 1)}) {
        CHECK(may_sign({}, bound, vectors::key("user"), bytes_of("anything")));
        CHECK(may_see({}, bound));
    }
    CHECK(may_sign({.lifetime = 0, .confirm = true}, {}, vectors::key("user"), {}));
}

TEST_CASE("a constrained key does not sign where nothing was bound; after a failed bind it is hidden too") {
    const auto request = vectors::signed_on(direct);
    CHECK_FALSE(signs_on(rules("a"), {}, request));
    REQUIRE(signs_on(rules("a"), vectors::sessions(direct), request));
    for (auto bound : {BoundSessions{}, vectors::sessions(direct)}) {
        bound.note_failure();
        CHECK_FALSE(signs_on(rules("a"), bound, request));
        CHECK_FALSE(may_see(rules("a"), bound));
    }
}

TEST_CASE("a constrained key does not sign for a session that is for forwarding") {
    auto bind = vectors::session_bind("login-direct-1-1");
    bind.is_forwarding = true;
    BoundSessions bound;
    REQUIRE(bound.bind(bind));
    CHECK_FALSE(signs_on(rules("a a>a a>b"), bound, vectors::signed_on(direct)));
}

TEST_CASE("a constrained key signs for the session and the host that were bound last") {
    const auto bound = vectors::sessions(direct);
    CHECK_FALSE(signs_on(rules("a"), bound, vectors::signed_on("login-three-1"))); // another session with a
    CHECK_FALSE(signs_on(rules("a a>b"), vectors::sessions(second), vectors::signed_on("login-three-1")));
    CHECK(signs_on(rules("a"), vectors::sessions("login-three-1"), vectors::signed_on("login-three-1")));
}

TEST_CASE("a constrained key signs nothing but a login with itself") {
    const auto bound = vectors::sessions(direct);
    auto request = vectors::signed_on(direct);
    REQUIRE(signs_on(rules("a"), bound, request));
    CHECK_FALSE(may_sign(rules("a"), bound, vectors::key("rsa"), request.data));
    CHECK_FALSE(may_sign(rules("a"), bound, vectors::key("user-cert"), request.data));
    CHECK_FALSE(may_sign(rules("a"), bound, request.key_blob, {}));
    CHECK_FALSE(may_sign(rules("a"), bound, request.key_blob, bytes_of("SSHSIG")));
    request.data.push_back(0);
    CHECK_FALSE(signs_on(rules("a"), bound, request));
}

TEST_CASE("the host must be in the request, but for the first hop") {
    const auto request = [](std::string_view connection, std::optional<Bytes> host_key) {
        wire::Writer writer;
        writer.string(vectors::sessions(connection).sessions().back().session_id).byte(50).text("root");
        writer.text("ssh-connection")
            .text(host_key ? "publickey-hostbound-v00@openssh.com" : "publickey")
            .byte(1)
            .text("ecdsa-sha2-nistp256")
            .string(vectors::key("user"));
        if (host_key)
            writer.string(*host_key);
        return SignRequest{vectors::key("user"), std::move(writer).bytes(), 0};
    };
    const auto permitted = [&](std::string_view connection, std::optional<Bytes> host_key) {
        return signs_on(rules("a a>b"), vectors::sessions(connection), request(connection, host_key));
    };
    CHECK(permitted(direct, std::nullopt));
    CHECK(permitted(direct, vectors::key("host-a")));
    CHECK_FALSE(permitted(direct, vectors::key("host-b")));
    CHECK(permitted(second, vectors::key("host-b")));
    CHECK_FALSE(permitted(second, std::nullopt));
    CHECK_FALSE(permitted(second, vectors::key("host-a")));
}

TEST_CASE("a constrained key is seen where it may be used, and where some way leads on") {
    struct Row {
        std::string_view rules, connection;
        std::size_t sessions;
        bool seen;
    };
    const Row rows[] = {
        {"a", direct, 0, true}, // this machine
        {"a", direct, 1, true},
        {"alice/a", direct, 1, true}, // the user is not known yet
        {"b", direct, 1, false},
        {"a>b", direct, 1, false},
        {"@ca:host-cert", certified, 1, true},
        {"@other-ca:host-cert", certified, 1, false},

        {"a", third, 1, false}, // forwarded to a, from where it may not be used
        {"a a>b", third, 1, true},
        {"a a>alice/b", third, 1, true},
        {"a b>c", third, 1, false},
        {"a>b", third, 1, false},
        {"a a>b", third, 2, false}, // forwarded on to b
        {"a a>b b>c", third, 2, true},
        {"a a>b b>a", third, 2, true},
        {"a a>b b>c", third, 3, true},
        {"a a>b b>a", third, 3, false},
    };
    for (const auto& row : rows) {
        INFO(row.rules << " on " << row.sessions << " of " << row.connection);
        CHECK(may_see(rules(row.rules), vectors::sessions(row.connection, row.sessions)) == row.seen);
    }
}
