#include "protocol/client.hpp"

#include "base/error.hpp"
#include "protocol/frame.hpp"
#include "protocol/vectors.hpp"
#include "support/test.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <array>
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

    /// The message that came, without its length.
    Bytes request() {
        Bytes bytes(65536);
        const auto got = ::recv(agent_.value(), bytes.data(), bytes.size(), 0);
        REQUIRE(got > 0);
        bytes.resize(static_cast<std::size_t>(got));
        while (wire::Reader(bytes).uint32() + 4 > bytes.size()) { // header and body are two writes
            Bytes more(65536);
            const auto rest = ::recv(agent_.value(), more.data(), more.size(), 0);
            REQUIRE(rest > 0);
            append(bytes, ByteView(more).first(static_cast<std::size_t>(rest)));
        }
        return copy_of(wire::Reader(bytes).string());
    }

    protocol::Client client{UniqueFd()};

  private:
    UniqueFd agent_;
};

Answered answered(ByteView message) {
    return Answered(protocol::framed(message));
}

const Bytes yes{6};

Bytes key_blob() {
    return wire::Writer().text("ssh-ed25519").string(Bytes(32, 9)).bytes();
}

Bytes rsa_blob() {
    return wire::Writer().text("ssh-rsa").mpint(Bytes{1, 0, 1}).mpint(Bytes(256, 0x81)).bytes();
}

Bytes list_of_two() {
    return wire::Writer()
        .byte(12)
        .uint32(2)
        .string(key_blob())
        .text("one")
        .string(rsa_blob())
        .text("")
        .bytes();
}

Bytes signature(std::string_view algorithm) {
    return wire::Writer().text(algorithm).string(Bytes(256, 5)).bytes();
}

Bytes sign_response(std::string_view algorithm) {
    return wire::Writer().byte(14).string(signature(algorithm)).bytes();
}

Bytes pin_response(std::uint8_t outcome, std::uint32_t left) {
    return wire::Writer().byte(29).text("tpm-try-pin@ssh-tpm").byte(outcome).uint32(left).text("why").bytes();
}

using Errors = std::optional<Errc>;

template <class Ask>
Errors refusal_of(ByteView message, Ask&& ask) {
    auto agent = answered(message);
    return refusal([&] { ask(agent.client); });
}

const auto list = [](protocol::Client& client) { client.list(); };
const auto query = [](protocol::Client& client) { client.query(); };
const auto remove_key = [](protocol::Client& client) { client.remove(key_blob()); };
const auto sign = [](protocol::Client& client) { client.sign(rsa_blob(), Bytes{1}, 2); };
const auto try_pin = [](protocol::Client& client) { client.try_pin(key_blob(), Secret()); };

} // namespace

TEST_CASE("a list of keys is asked for and read") {
    auto agent = answered(list_of_two());
    const auto keys = agent.client.list();
    CHECK(agent.request() == Bytes{11});
    REQUIRE(keys.size() == 2);
    CHECK(keys[0].type == "ssh-ed25519");
    CHECK(keys[0].blob == key_blob());
    CHECK(keys[0].comment == "one");
    CHECK(keys[1].type == "ssh-rsa");
    CHECK(keys[1].comment.empty());
}

TEST_CASE("a signature is asked for and read") {
    auto agent = answered(sign_response("rsa-sha2-256"));
    CHECK(agent.client.sign(rsa_blob(), Bytes{1, 2}, 2) == signature("rsa-sha2-256"));
    CHECK(agent.request() ==
          wire::Writer().byte(13).string(rsa_blob()).string(Bytes{1, 2}).uint32(2).bytes());
}

TEST_CASE("a signature by another algorithm than asked for is refused") {
    CHECK(refusal_of(sign_response("rsa-sha2-512"), sign) == Errc::malformed);
    CHECK(refusal_of(sign_response("ssh-rsa"), sign) == Errc::malformed);
    CHECK(refusal_of(sign_response("rsa-sha2-256"), sign) == std::nullopt);
}

TEST_CASE("a key of a TPM is added with the bytes that the Go program sends") {
    auto agent = answered(yes);
    agent.client.add_tpm_key(data_text("keyfile/go-ec-p256.tpm"), {},
                             {.lifetime = {}, .confirm = true, .destinations = {}});
    CHECK(agent.request() == vectors::message("tpm-add-key"));
}

TEST_CASE("a certificate and constraints go with a key of a TPM") {
    auto agent = answered(yes);
    agent.client.add_tpm_key("PEM", Bytes{7}, {.lifetime = 60, .confirm = true, .destinations = {}});
    const auto expected = wire::Writer()
                              .byte(27)
                              .text("tpm-add-key")
                              .byte(17)
                              .text("TPMKEY")
                              .text("PEM")
                              .string(Bytes{7})
                              .raw(Bytes{1, 0, 0, 0, 60, 2})
                              .bytes();
    CHECK(agent.request() == expected);
}

TEST_CASE("a key is removed by its blob") {
    auto agent = answered(yes);
    agent.client.remove(key_blob());
    CHECK(agent.request() == wire::Writer().byte(18).string(key_blob()).bytes());
}

TEST_CASE("all keys are removed for both versions of the protocol, the old one with any answer") {
    auto both = protocol::framed(yes);
    append(both, protocol::framed(Bytes{5}));
    Answered agent(both);
    agent.client.remove_all();
    CHECK(agent.request() == Bytes{19}); // its frame is read whole, with the next one behind it
    CHECK(refusal_of(Bytes{5}, [](protocol::Client& client) { client.remove_all(); }) == Errc::refused);
}

TEST_CASE("an agent is locked and unlocked with a password") {
    const auto password = Secret::copy_of(bytes_of("pass"));
    auto locked = answered(yes);
    locked.client.lock(password);
    CHECK(locked.request() == wire::Writer().byte(22).text("pass").bytes());
    auto unlocked = answered(yes);
    unlocked.client.unlock(password);
    CHECK(unlocked.request() == wire::Writer().byte(23).text("pass").bytes());
}

TEST_CASE("the extensions of an agent are read, none too") {
    auto some = answered(wire::Writer().byte(29).text("query").text("a").text("b@c").bytes());
    CHECK(some.client.query() == std::vector<std::string>{"a", "b@c"});
    CHECK(some.request() == wire::Writer().byte(27).text("query").bytes());
    auto none = answered(wire::Writer().byte(29).text("query").bytes());
    CHECK(none.client.query().empty());
}

TEST_CASE("a PIN is tried and the outcome read") {
    auto agent = answered(pin_response(1, 2));
    const auto result = agent.client.try_pin(key_blob(), Secret::copy_of(bytes_of("1234")));
    CHECK(agent.request() ==
          wire::Writer().byte(27).text("tpm-try-pin@ssh-tpm").string(key_blob()).text("1234").bytes());
    CHECK(result.outcome == protocol::PinOutcome::wrong);
    CHECK(result.tries_left == 2U);
    CHECK(result.text == "why");
    auto unknown = answered(pin_response(0, 0xFFFFFFFF));
    CHECK(unknown.client.try_pin(key_blob(), Secret()).tries_left == std::nullopt);
    CHECK(refusal_of(pin_response(5, 0), try_pin) == Errc::malformed);
}

TEST_CASE("no is no, to every request and in every form") {
    for (const auto number : Bytes{5, 28, 30, 102}) {
        const Bytes no{number};
        CHECK(refusal_of(no, list) == Errc::refused);
        CHECK(refusal_of(no, query) == Errc::refused);
        CHECK(refusal_of(no, remove_key) == Errc::refused);
        CHECK(refusal_of(no, sign) == Errc::refused);
        CHECK(refusal_of(no, try_pin) == Errc::refused);
    }
}

TEST_CASE("an answer to another request is refused") {
    CHECK(refusal_of(yes, list) == Errc::malformed);
    CHECK(refusal_of(sign_response("rsa-sha2-256"), list) == Errc::malformed);
    CHECK(refusal_of(list_of_two(), sign) == Errc::malformed);
    CHECK(refusal_of(list_of_two(), remove_key) == Errc::malformed);
    CHECK(refusal_of(yes, try_pin) == Errc::malformed);
    CHECK(refusal_of(pin_response(0, 0), query) == Errc::malformed);
    CHECK(refusal_of(wire::Writer().byte(29).text("query").bytes(), try_pin) == Errc::malformed);
}

TEST_CASE("every part of an answer is refused, and so is a byte too many") {
    const auto refuses_parts = [](const Bytes& whole, auto ask) {
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

TEST_CASE("an agent that is not there is an error with its reason") {
    const TempFolder folder;
    CHECK(refusal([&] { protocol::Client client(folder / "none"); }) == Errc::not_found);
    CHECK(refusal([&] { protocol::Client client(folder.path()); }).has_value());
    CHECK(refusal([&] { protocol::Client client(std::string(200, 'x')); }) == Errc::usage);
}
