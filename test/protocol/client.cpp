// SPDX-License-Identifier: MIT
#include "protocol/client.hpp"

#include "base/error.hpp"
#include "protocol/frame.hpp"
#include "protocol/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

/// An agent that has answered before it is asked: its answer waits in the socket, and so does the request.
class Answered {
  public:
    explicit Answered(ByteView stream) {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        agent_.reset(ends[0]);
        client = protocol::Client(UniqueFd(ends[1]));
        REQUIRE(::send(agent_.value(), stream.data(), stream.size(), 0) ==
                static_cast<ssize_t>(stream.size()));
        ::shutdown(agent_.value(), SHUT_WR);
    }

    /// The next message that came, without its length.
    Bytes request() {
        const auto read = [&](std::size_t size) {
            Bytes bytes(size);
            REQUIRE(::recv(agent_.value(), bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
            return bytes;
        };
        return read(wire::Reader(read(4)).uint32());
    }

    protocol::Client client{UniqueFd()};

  private:
    UniqueFd agent_;
};

Answered answered(ByteView message) {
    return Answered(protocol::framed(message));
}

/// Answers to two requests.
Answered answered_twice(ByteView first, ByteView second) {
    auto stream = protocol::framed(first);
    append(stream, protocol::framed(second));
    return Answered(stream);
}

const Bytes yes{6};

Bytes extensions_response(std::string_view name) {
    return wire::Writer().byte(29).text("query").text(name).bytes();
}

Bytes key_blob() {
    return wire::Writer().text("ssh-ed25519").string(Bytes(32, 9)).bytes();
}

Bytes rsa_blob() {
    return wire::Writer().text("ssh-rsa").mpint(Bytes{1, 0, 1}).mpint(Bytes(256, 0x81)).bytes();
}

Bytes list_of_two() {
    wire::Writer writer;
    writer.byte(12).uint32(2).string(key_blob()).text("one").string(rsa_blob()).text("");
    return std::move(writer).bytes();
}

Bytes sign_response(std::string_view algorithm) {
    const auto signature = wire::Writer().text(algorithm).string(Bytes(256, 5)).bytes();
    return wire::Writer().byte(14).string(signature).bytes();
}

Bytes pin_response(std::uint8_t outcome, std::uint32_t left) {
    return wire::Writer().byte(29).text("tpm-try-pin@ssh-tpm").byte(outcome).uint32(left).text("why").bytes();
}

Bytes status_response() {
    return wire::Writer()
        .byte(29)
        .text("status@ssh-tpm")
        .text("keys")
        .text("2")
        .text("pid")
        .text("7")
        .bytes();
}

using Ask = std::function<void(protocol::Client&)>;

std::optional<Errc> refusal_of(ByteView message, const Ask& ask) {
    auto agent = answered(message);
    return refusal([&] { ask(agent.client); });
}

const auto list = [](protocol::Client& client) { client.list(); };
const auto query = [](protocol::Client& client) { client.query(); };
const auto remove_key = [](protocol::Client& client) { client.remove(key_blob()); };
const auto sign = [](protocol::Client& client) { client.sign(rsa_blob(), Bytes{1}, 2); };
const auto status = [](protocol::Client& client) { client.status(); };
const auto try_pin = [](protocol::Client& client) { client.try_pin(key_blob(), Secret()); };

} // namespace

TEST_CASE("a signature by another algorithm than asked for is refused") {
    CHECK(refusal_of(sign_response("rsa-sha2-512"), sign) == Errc::malformed);
    CHECK(refusal_of(sign_response("ssh-rsa"), sign) == Errc::malformed);
    CHECK(refusal_of(sign_response("rsa-sha2-256"), sign) == std::nullopt);
}

TEST_CASE("a test of a key gets the reason from an agent that knows our extension, and asks others plainly") {
    const auto failure = wire::Writer().byte(28).text("no TPM").text("look for it").bytes();
    const auto error_of = [](Answered& agent) {
        try {
            agent.client.find_wrong_signature(key_blob());
        } catch (const Error& error) {
            return std::string(error.what()) + "|" + error.hint();
        }
        return std::string("no error");
    };
    auto ours = answered_twice(extensions_response("tpm-sign@ssh-tpm"), failure);
    CHECK(error_of(ours) == "no TPM|look for it");
    ours.request();
    CHECK(ours.request().front() == 27);
    for (const auto& to_query : {Bytes{5}, Bytes{28}, extensions_response("tpm-sign")}) {
        auto other = answered_twice(to_query, failure);
        CHECK(error_of(other) == "agent refused operation|");
        other.request();
        CHECK(other.request().front() == 13);
    }
}

TEST_CASE("a key of a TPM is added with the bytes that the Go program sends") {
    for (const auto& to_query : {Bytes{5}, Bytes{28}, yes, extensions_response("tpm-add-key")}) {
        INFO("the answer to a query is " << hex(to_query));
        auto agent = answered_twice(to_query, yes);
        agent.client.add_tpm_key(data_text("keyfile/go-ec-p256.tpm"), {},
                                 {.lifetime = {}, .confirm = true, .destinations = {}});
        CHECK(agent.request() == wire::Writer().byte(27).text("query").bytes());
        CHECK(agent.request() == vectors::message("tpm-add-key"));
    }
}

TEST_CASE("an agent that knows our extension is sent the key with it, and asked once whether it does") {
    auto stream = protocol::framed(extensions_response("tpm-add-key@ssh-tpm"));
    append(stream, protocol::framed(yes));
    append(stream, protocol::framed(yes));
    Answered agent(stream);
    for (int i = 0; i < 2; ++i)
        agent.client.add_tpm_key("a file", Bytes{1, 2},
                                 {.lifetime = {}, .confirm = true, .destinations = {}});
    agent.request();
    for (int i = 0; i < 2; ++i)
        CHECK(agent.request() == wire::Writer()
                                     .byte(27)
                                     .text("tpm-add-key@ssh-tpm")
                                     .text("a file")
                                     .string(Bytes{1, 2})
                                     .byte(2)
                                     .bytes());
}

TEST_CASE("the reason that an agent gives for a failure is read, and shown without its control characters") {
    const auto failure = [](std::string_view text, std::string_view hint) {
        return wire::Writer().byte(28).text(text).text(hint).bytes();
    };
    const auto error_of = [](ByteView answer) {
        auto agent = answered(answer);
        try {
            agent.client.try_pin(key_blob(), Secret());
        } catch (const Error& error) {
            CHECK(error.code() == Errc::refused);
            return std::string(error.what()) + "|" + error.hint();
        }
        return std::string("no error");
    };
    CHECK(error_of(failure("another TPM", "make a key")) == "another TPM|make a key");
    CHECK(error_of(failure("another TPM", "")) == "another TPM|");
    CHECK(error_of(failure("a\x1b[2Jb\n", "\r\xff")) == "a?[2Jb?|??");
    CHECK(error_of(failure(std::string(5000, 'x'), "")).size() < 1010);
    const auto whole = failure("another TPM", "make a key");
    for (std::size_t length = 1; length < whole.size(); ++length)
        CHECK(error_of(ByteView(whole).first(length)) == "agent refused operation|");
    CHECK(error_of(failure("", "make a key")) == "agent refused operation|");
    auto five = whole;
    five.front() = 5;
    CHECK(error_of(five) == "agent refused operation|");
}

TEST_CASE("what the agent writes about a failure, the client reads") {
    const auto frame = protocol::explained_failure(Error(Errc::foreign_key, "an\nother TPM", "make a key"));
    const auto error = protocol::failure_in(ByteView(frame).subspan(4));
    CHECK(std::string(error.what()) == "an?other TPM");
    CHECK(error.hint() == "make a key");
    const Error long_one(Errc::tpm, std::string(1 << 20, 'x'), std::string(1 << 20, 'y'));
    CHECK(protocol::explained_failure(long_one).size() < 2100);
}

TEST_CASE("all keys are removed for both versions of the protocol, the old one with any answer") {
    auto agent = answered_twice(yes, Bytes{5});
    agent.client.remove_all();
    CHECK(agent.request() == Bytes{19});
    CHECK(agent.request() == Bytes{9});
    CHECK(refusal_of(Bytes{5}, [](protocol::Client& client) { client.remove_all(); }) == Errc::refused);
}

TEST_CASE("after a try of a PIN the tries left may be unknown; an unknown outcome is refused") {
    auto unknown = answered(pin_response(0, 0xFFFFFFFF));
    CHECK(unknown.client.try_pin(key_blob(), Secret()).tries_left == std::nullopt);
    CHECK(refusal_of(pin_response(5, 0), try_pin) == Errc::malformed);
}

TEST_CASE("no is no, to every request and in every form") {
    for (const auto number : Bytes{5, 28, 30, 102}) {
        INFO("answer " << int(number));
        for (const auto& ask : std::vector<Ask>{list, query, remove_key, sign, status, try_pin})
            CHECK(refusal_of(Bytes{number}, ask) == Errc::refused);
    }
}

TEST_CASE("an answer to another request is refused") {
    const auto extensions = wire::Writer().byte(29).text("query").bytes();
    for (const auto& [answer, ask] : std::vector<std::pair<Bytes, Ask>>{{yes, list},
                                                                        {sign_response("rsa-sha2-256"), list},
                                                                        {list_of_two(), sign},
                                                                        {list_of_two(), remove_key},
                                                                        {yes, try_pin},
                                                                        {pin_response(0, 0), query},
                                                                        {extensions, status},
                                                                        {extensions, try_pin}}) {
        INFO(hex(answer));
        CHECK(refusal_of(answer, ask) == Errc::malformed);
    }
}

TEST_CASE("every part of an answer is refused, and so is a byte too many") {
    const auto refuses_parts = [](const Bytes& whole, const Ask& ask) {
        auto longer = whole;
        longer.push_back(0);
        CHECK(refusal_of(longer, ask) == Errc::malformed);
        for (std::size_t length = 1; length < whole.size(); ++length)
            if (refusal_of(ByteView(whole).first(length), ask) != Errc::malformed)
                FAIL("taken with " << length << " bytes of " << whole.size());
    };
    refuses_parts(list_of_two(), list);
    refuses_parts(sign_response("rsa-sha2-256"), sign);
    refuses_parts(pin_response(1, 2), try_pin);
}

TEST_CASE("the status of an agent is names and values") {
    auto agent = answered(status_response());
    CHECK(agent.client.status() == protocol::AgentStatus{{"keys", "2"}, {"pid", "7"}});
    CHECK(agent.request() == wire::Writer().byte(27).text("status@ssh-tpm").bytes());
    CHECK(protocol::status_reply({{"pid", "7"}, {"keys", "2"}}) == protocol::framed(status_response()));

    const auto with_more = [](std::string_view more) {
        auto longer = status_response();
        append(longer, wire::Writer().text(more).bytes());
        return longer;
    };
    CHECK(refusal_of(with_more("a name without a value"), status) == Errc::malformed);
    auto twice = with_more("keys");
    append(twice, wire::Writer().text("3").bytes());
    CHECK(refusal_of(twice, status) == Errc::malformed);
}

TEST_CASE("a list that claims more keys than it has, or than 2048, is refused") {
    CHECK(refusal_of(wire::Writer().byte(12).uint32(0xFFFFFFFF).bytes(), list) == Errc::malformed);
    CHECK(refusal_of(wire::Writer().byte(12).uint32(1).bytes(), list) == Errc::malformed);
    wire::Writer many;
    many.byte(12).uint32(2049);
    for (int i = 0; i < 2049; ++i)
        many.string(wire::Writer().text("x").bytes()).text("");
    CHECK(refusal_of(many.bytes(), list) == Errc::malformed);
}

TEST_CASE("a stream that ends or lies about its length is refused") {
    const auto whole = protocol::framed(list_of_two());
    for (std::size_t length = 0; length < whole.size(); ++length) {
        Answered agent(ByteView(whole).first(length));
        if (refusal([&] { agent.client.list(); }) != Errc::io)
            FAIL("taken with " << length << " bytes");
    }
    for (const Bytes& header : {Bytes{0, 0, 0, 0}, Bytes{0, 4, 0, 1}, Bytes{255, 255, 255, 255}}) {
        Answered agent(header);
        CHECK(refusal([&] { agent.client.list(); }) == Errc::malformed);
    }
}

TEST_CASE("an answer that comes byte by byte is read") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd agent(ends[0]);
    protocol::Client client{UniqueFd(ends[1])};
    std::jthread slow([&agent] {
        for (const auto byte : protocol::framed(list_of_two()))
            ::send(agent.value(), &byte, 1, 0);
    });
    CHECK(client.list().size() == 2);
}

TEST_CASE("a request that no agent takes is not sent") {
    auto agent = answered(yes);
    CHECK(refusal([&] { agent.client.request(Bytes(protocol::max_message + 1, 1)); }) == Errc::unsupported);
    agent.client.remove(key_blob());
    CHECK(agent.request().front() == 18);
}
