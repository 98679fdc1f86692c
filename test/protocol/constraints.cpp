// SPDX-License-Identifier: MIT
#include "protocol/constraints.hpp"

#include "protocol/message.hpp"
#include "protocol/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <cstdint>
#include <functional>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::protocol;

namespace {

Constraints read_all(ByteView bytes) {
    wire::Reader reader(bytes);
    return read_constraints(reader);
}

Bytes written(const Constraints& constraints) {
    wire::Writer writer;
    write_constraints(writer, constraints);
    return std::move(writer).bytes();
}

Bytes extended(std::string_view name, ByteView body) {
    return wire::Writer().byte(255).text(name).string(body).bytes();
}

/// The fields of one destination constraint, to be changed one at a time.
struct DestinationFields {
    struct End {
        std::string user, host, reserved;
        Bytes key;
    };
    End from{"", "", "", {}}, to{"", "host-a", "", vectors::key("host-a")};
    std::string reserved, more;

    static Bytes bytes_of_end(const End& end) {
        wire::Writer writer;
        writer.text(end.user).text(end.host).text(end.reserved);
        if (!end.key.empty())
            writer.string(end.key).boolean(false);
        return std::move(writer).bytes();
    }
    Bytes bytes() const {
        const auto body = wire::Writer()
                              .string(bytes_of_end(from))
                              .string(bytes_of_end(to))
                              .text(reserved)
                              .raw(bytes_of(more))
                              .bytes();
        return wire::Writer().string(body).bytes();
    }
    Bytes constraint() const { return extended("restrict-destination-v00@openssh.com", bytes()); }
};

DestinationConstraint destination(Hop from, Hop to) {
    return {std::move(from), std::move(to)};
}

} // namespace

TEST_CASE("the constraints of ssh-add -c -t and -h are read as they were meant") {
    const auto constraints_of = [](std::string_view name) {
        return std::get<AddIdentity>(parse_request(vectors::message(name))).constraints;
    };
    CHECK(constraints_of("add-rsa") == Constraints{});
    CHECK(constraints_of("add-lifetime") == Constraints{.lifetime = 3600});
    CHECK(constraints_of("add-confirm") == Constraints{.confirm = true});
    CHECK(constraints_of("add-lifetime-confirm") == Constraints{.lifetime = 90, .confirm = true});

    const KeySpec a{vectors::key("host-a")}, b{vectors::key("host-b")}, c{vectors::key("host-c")};
    const KeySpec ca{vectors::key("ca"), true};
    const Hop here;
    const Constraints destinations{
        .destinations = {destination(here, {"", "host-a", {a}}),
                         destination({"", "host-a", {a}}, {"", "host-b", {b}}),
                         destination({"", "host-b", {b}}, {"alice", "host-c", {c}}),
                         destination(here, {"b*b", "host-cert", {ca}})}};
    CHECK(constraints_of("add-destinations") == destinations);
}

TEST_CASE("constraints are written as ssh-add writes them") {
    for (const auto name : {"add-lifetime", "add-confirm", "add-lifetime-confirm", "add-destinations"}) {
        INFO(name);
        const auto message = vectors::message(name);
        const auto constraints = std::get<AddIdentity>(parse_request(message)).constraints;
        const auto bytes = written(constraints);
        REQUIRE(bytes.size() < message.size());
        CHECK(equal(bytes, ByteView(message).last(bytes.size())));
    }
}

TEST_CASE("a lifetime is four bytes, and zero is one; a constraint that comes twice is refused") {
    CHECK(read_all(unhex("01 00000000")).lifetime == 0U);
    CHECK(read_all(unhex("01 ffffffff")).lifetime == 0xFFFFFFFFU);
    for (const auto* bad : {"01 00000001 01 00000001", "01 00000000 01 00000000", "02 02"})
        CHECK(refusal(read_all, unhex(bad)) == Errc::malformed);
    auto twice = DestinationFields().constraint();
    append(twice, DestinationFields().constraint());
    CHECK(refusal(read_all, twice) == Errc::malformed);
}

TEST_CASE("constraints come in any order") {
    auto bytes = DestinationFields().constraint();
    append(bytes, unhex("02 01 00000005"));
    const auto constraints = read_all(bytes);
    CHECK(constraints.confirm);
    CHECK(constraints.lifetime == 5U);
    CHECK(constraints.destinations.size() == 1);
}

TEST_CASE("every other number and every other extension is refused as not supported") {
    for (unsigned number = 0; number < 255; ++number)
        if (number != SSH_AGENT_CONSTRAIN_LIFETIME && number != SSH_AGENT_CONSTRAIN_CONFIRM)
            CHECK(refusal(read_all, Bytes{static_cast<std::uint8_t>(number)}) == Errc::unsupported);
    for (const auto name : {"", "sk-provider@openssh.com", "associated-certs-v00@openssh.com",
                            "restrict-destination-v01@openssh.com", "x\x1b[2J@example.com"})
        CHECK(refusal(read_all, extended(name, {})) == Errc::unsupported);
    CHECK(refusal(read_all, extended(std::string_view("restrict-destination-v00@openssh.com\0", 37), {})) ==
          Errc::malformed);
}

TEST_CASE(
    "a destination goes from nowhere or a host with keys to a host with keys, and has nothing unknown") {
    constexpr auto good = std::optional<Errc>(), malformed = std::optional(Errc::malformed),
                   unsupported = std::optional(Errc::unsupported);
    struct Row {
        std::optional<Errc> outcome;
        std::function<void(DestinationFields&)> change;
    };
    const Row rows[] = {
        {good, [](auto&) {}},
        {good, [](auto& f) { f.from.host = "host-b", f.from.key = vectors::key("host-b"); }},
        {malformed, [](auto& f) { f.from.user = "alice"; }},
        {malformed, [](auto& f) { f.from.host = "host-b"; }},
        {malformed, [](auto& f) { f.from.key = vectors::key("host-b"); }},
        {malformed, [](auto& f) { f.to.host.clear(); }},
        {malformed, [](auto& f) { f.to.key.clear(); }},
        // A reserved field that is not empty, and bytes after the last field.
        {unsupported, [](auto& f) { f.from.reserved = "x"; }},
        {unsupported, [](auto& f) { f.to.reserved = "x"; }},
        {unsupported, [](auto& f) { f.reserved = "x"; }},
        {malformed, [](auto& f) { f.more = "x"; }},
        {malformed, [](auto& f) { f.more = std::string(4, '\0'); }},
        // A user has at most 256 bytes, and neither a user nor a host has a NUL.
        {good, [](auto& f) { f.to.user = std::string(256, '*'); }},
        {malformed, [](auto& f) { f.to.user = std::string(257, '*'); }},
        {malformed, [](auto& f) { f.to.user = std::string("a\0b", 3); }},
        {malformed, [](auto& f) { f.to.host = std::string("a\0", 2); }},
        // A key may have a type that is not known, but must not be malformed.
        {good, [](auto& f) { f.to.key = wire::Writer().text("ssh-new").bytes(); }},
        {malformed, [](auto& f) { f.to.key.pop_back(); }},
        {malformed, [](auto& f) { f.to.key.push_back(0); }},
    };
    for (const auto& row : rows) {
        INFO("row " << &row - rows);
        DestinationFields fields;
        row.change(fields);
        CHECK(refusal(read_all, fields.constraint()) == row.outcome);
    }
}

TEST_CASE("there are one to 1024 destinations") {
    const auto many = [](std::size_t count) {
        const auto one = DestinationFields().bytes();
        Bytes body;
        for (std::size_t i = 0; i < count; ++i)
            append(body, one);
        return extended("restrict-destination-v00@openssh.com", body);
    };
    CHECK(refusal(read_all, many(0)) == Errc::malformed);
    CHECK(read_all(many(1024)).destinations.size() == 1024);
    CHECK(refusal(read_all, many(1025)) == Errc::malformed);
}

TEST_CASE("every truncation of a constraint, and inside a destination, is refused") {
    CHECK(accepted_prefixes(unhex("01 00000e10"), read_all) == std::vector<std::size_t>{0});
    CHECK(accepted_prefixes(DestinationFields().constraint(), read_all) == std::vector<std::size_t>{0});
    const auto whole = DestinationFields().bytes();
    CHECK(accepted_prefixes(whole, [](ByteView prefix) {
              read_all(extended("restrict-destination-v00@openssh.com", prefix));
          }).empty());
}

TEST_CASE("constraints are looser when they allow what others do not") {
    const auto to = [](const char* host) { return destination({}, {"", host, {}}); };
    const Constraints none, confirmed{.confirm = true}, one{.destinations = {to("a")}},
        two{.destinations = {to("a"), to("b")}}, brief{.lifetime = 1};
    for (const auto& [looser, than] :
         {std::pair(none, confirmed), {one, confirmed}, {none, one}, {confirmed, one}, {two, one}})
        CHECK(loosens(looser, than));
    for (const auto& [other, than] :
         {std::pair(one, two), {one, one}, {confirmed, none}, {confirmed, confirmed}})
        CHECK_FALSE(loosens(other, than));
    CHECK_FALSE(loosens(none, brief)); // PinCache keeps a PIN no longer than the first lifetime
}
