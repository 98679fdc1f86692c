// SPDX-License-Identifier: MIT
#include "protocol/message.hpp"

#include "protocol/vectors.hpp"
#include "support/test.hpp"
#include "wire/writer.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace sshtpm::protocol;

namespace {

Bytes sign_request() {
    return wire::Writer().byte(13).text("a key blob").text("data").uint32(4).bytes();
}

Bytes with_password(std::uint8_t number, std::string_view password) {
    return wire::Writer().byte(number).text(password).bytes();
}

wire::Writer extension_named(std::string_view name) {
    return wire::Writer().byte(27).text(name);
}

Bytes tpm_add_key(std::uint8_t number, std::string_view word, std::string_view key_file) {
    return extension_named("tpm-add-key").byte(number).text(word).text(key_file).text("").bytes();
}

Bytes try_pin_message(std::string_view pin) {
    return extension_named("tpm-try-pin@ssh-tpm").text("a key blob").text(pin).bytes();
}

/// Of a message that stands in a frame: never empty.
std::vector<std::size_t> accepted_messages(ByteView message) {
    return accepted_prefixes(message, [](ByteView prefix) {
        if (prefix.empty())
            throw Error(Errc::malformed, "the frame buffer gives no empty message");
        parse_request(prefix);
    });
}

Bytes longer(Bytes message) {
    append(message, Bytes{1, 2, 3});
    return message;
}

template <class Part>
bool is(ByteView message) {
    return std::holds_alternative<Part>(parse_request(message));
}

/// The message with a lifetime after its other constraints.
Bytes limited(Bytes message, std::uint32_t seconds, std::uint8_t number = 25) {
    message.front() = number;
    const auto constraint = wire::Writer().byte(1).uint32(seconds).bytes();
    message.insert(message.end(), constraint.begin(), constraint.end());
    return message;
}

} // namespace

TEST_CASE("a sign request is its key, its data and its flags") {
    const auto request = parse_request(sign_request());
    const auto& sign = std::get<SignRequest>(request);
    CHECK(text_of(sign.key_blob) == "a key blob");
    CHECK(text_of(sign.data) == "data");
    CHECK(sign.flags == 4);
}

TEST_CASE("what ssh and ssh-add say to an agent is understood") {
    CHECK(is<RequestIdentities>(vectors::message("list")));
    for (const auto* name : {"add-rsa", "add-certificate-1"})
        CHECK(is<AddIdentity>(vectors::message(name)));
    CHECK(is<SessionBind>(vectors::message("login-direct-1-1")));
    CHECK(is<SignRequest>(vectors::message("login-direct-1-3")));
    for (const auto* name : {"add-card", "remove-card"})
        CHECK(is<Smartcard>(vectors::message(name)));

    const auto remove = parse_request(vectors::message("remove"));
    CHECK(std::get<RemoveIdentity>(remove).key_blob == vectors::key("rsa"));
    const auto certificate = parse_request(vectors::message("add-certificate-2"));
    const auto& key = std::get<AddIdentity>(certificate).key;
    REQUIRE(key.certificate);
    CHECK(key.certificate->blob == vectors::key("user-cert"));
}

TEST_CASE("a key of a type that no TPM holds is told by its type alone") {
    const auto type = [](ByteView message) {
        return std::get<AddForeignIdentity>(parse_request(message)).type;
    };
    CHECK(type(vectors::message("add-ed25519")) == "ssh-ed25519");
    CHECK(type(wire::Writer().byte(25).text("ssh-dss").bytes()) == "ssh-dss");
    CHECK(type(wire::Writer().byte(17).text("\x1b[2J").bytes()) == "?[2J");
    CHECK(type(wire::Writer().byte(17).text("").bytes()).empty());
    CHECK(type(wire::Writer().byte(17).text(std::string(1000, 'x')).bytes()).size() <= 203);
}

TEST_CASE("constraints are read behind either number, and a key with an unknown one is refused") {
    auto message = vectors::message("add-lifetime-confirm");
    message.front() = SSH_AGENTC_ADD_IDENTITY;
    const auto request = parse_request(message);
    CHECK(std::get<AddIdentity>(request).constraints.lifetime == 90U);
    auto more = vectors::message("add-rsa");
    more.push_back(3);
    CHECK(refusal(parse_request, more) == Errc::unsupported);
    more.back() = SSH_AGENT_CONSTRAIN_CONFIRM;
    more.push_back(SSH_AGENT_CONSTRAIN_CONFIRM);
    CHECK(refusal(parse_request, more) == Errc::malformed);
}

TEST_CASE("the messages that remove all keys, of both versions of the protocol, are understood") {
    CHECK(is<RemoveAllIdentities>(vectors::message("remove-all-1")));
    CHECK(is<RemoveAllIdentities>(vectors::message("remove-all-2")));
}

TEST_CASE("lock and unlock are a password and nothing more") {
    const auto lock = parse_request(vectors::message("lock"));
    CHECK(text_of(std::get<Lock>(lock).password.view()) == "password");
    const auto unlock = parse_request(vectors::message("unlock"));
    CHECK(text_of(std::get<Unlock>(unlock).password.view()) == "password");
    for (const std::uint8_t number : {SSH_AGENTC_LOCK, SSH_AGENTC_UNLOCK}) {
        CHECK(refusal(parse_request, with_password(number, "")) == std::nullopt); // decided elsewhere
        CHECK(refusal(parse_request, with_password(number, std::string(4096, 'x'))) == std::nullopt);
        CHECK(refusal(parse_request, with_password(number, std::string(4097, 'x'))) == Errc::malformed);
        CHECK(refusal(parse_request, longer(with_password(number, "password"))) == Errc::malformed);
        CHECK(refusal(parse_request, Bytes{number}) == Errc::malformed);
    }
}

TEST_CASE("a session-bind that does not parse is told from one that does") {
    const auto message = vectors::message("login-direct-1-1");
    const auto name_ends = extension_named(extension::session_bind).bytes().size();
    for (std::size_t length = name_ends; length < message.size(); ++length)
        CHECK(is<BrokenSessionBind>(ByteView(message).first(length)));
    for (std::size_t length = 1; length < name_ends; ++length)
        CHECK(refusal(parse_request, ByteView(message).first(length)) == Errc::malformed);
}

TEST_CASE("tpm-add-key of the Go program is a key file, a certificate and constraints") {
    const auto request = parse_request(vectors::message("tpm-add-key"));
    const auto& add = std::get<TpmAddKey>(request);
    CHECK(add.key_file == data_text("keyfile/go-ec-p256.tpm"));
    CHECK(add.certificate.empty());
    CHECK(add.constraints == Constraints{.confirm = true});
}

TEST_CASE("tpm-add-key begins as the two messages that add a key, with its own type of key") {
    CHECK(is<TpmAddKey>(tpm_add_key(17, "TPMKEY", "pem")));
    CHECK(is<TpmAddKey>(tpm_add_key(25, "TPMKEY", "pem")));
    CHECK(is<TpmAddKey>(tpm_add_key(17, "TPMKEY", std::string(65536, 'x'))));
    // The last one is without the number that the Go program's encoder puts in front.
    for (const auto& bad :
         {tpm_add_key(0, "TPMKEY", "pem"), tpm_add_key(18, "TPMKEY", "pem"), tpm_add_key(17, "tpmkey", "pem"),
          tpm_add_key(17, "TPMKEY", ""), tpm_add_key(17, "TPMKEY", std::string(65537, 'x')),
          longer(tpm_add_key(17, "TPMKEY", "pem")),
          extension_named("tpm-add-key").text("TPMKEY").text("pem").text("").bytes()})
        CHECK(refusal(parse_request, bad) == Errc::malformed);
}

TEST_CASE("tpm-add-key carries a certificate and any constraint") {
    wire::Writer message = extension_named("tpm-add-key");
    message.byte(17).text("TPMKEY").text("pem").text("a certificate");
    write_constraints(message, {.lifetime = 7});
    const auto request = parse_request(message.bytes());
    const auto& add = std::get<TpmAddKey>(request);
    CHECK(text_of(add.certificate) == "a certificate");
    CHECK(add.constraints.lifetime == 7U);
    CHECK(refusal(parse_request, message.byte(3).bytes()) == Errc::unsupported);
}

TEST_CASE("our own message for a key file has no number and no type in front") {
    wire::Writer message = extension_named("tpm-add-key@ssh-tpm");
    message.text("pem").text("a certificate");
    write_constraints(message, {.lifetime = 7});
    const auto request = parse_request(message.bytes());
    const auto& add = std::get<TpmAddKey>(request);
    CHECK(add.checked);
    CHECK(add.key_file == "pem");
    CHECK(text_of(add.certificate) == "a certificate");
    CHECK(add.constraints.lifetime == 7U);
    const auto name = extension_named("tpm-add-key@ssh-tpm").bytes().size();
    for (std::size_t length = name; length < message.bytes().size(); ++length)
        if (length + 5 != message.bytes().size()) // there it ends before the constraint
            CHECK(refusal(parse_request, ByteView(message.bytes()).first(length)) == Errc::malformed);
    CHECK_FALSE(std::get<TpmAddKey>(parse_request(vectors::message("tpm-add-key"))).checked);
}

TEST_CASE("a failure is explained to clients of our own extensions alone") {
    for (const auto* ours : {"tpm-add-key@ssh-tpm", "tpm-try-pin@ssh-tpm", "tpm-sign@ssh-tpm"})
        CHECK(wants_explanation(extension_named(ours).byte(1).bytes()));
    for (const auto* other : {"tpm-add-key", "query", "session-bind@openssh.com", "tpm-add-key@ssh-tpm2", ""})
        CHECK_FALSE(wants_explanation(extension_named(other).bytes()));
    const auto whole = extension_named("tpm-try-pin@ssh-tpm").bytes();
    for (std::size_t length = 0; length < whole.size(); ++length)
        CHECK_FALSE(wants_explanation(ByteView(whole).first(length)));
    CHECK_FALSE(wants_explanation(wire::Writer().byte(25).text("tpm-try-pin@ssh-tpm").bytes()));
}

TEST_CASE("tpm-try-pin is a key and a PIN of at most 1024 bytes") {
    const auto request = parse_request(try_pin_message("1234"));
    const auto& attempt = std::get<TpmTryPin>(request);
    CHECK(text_of(attempt.key_blob) == "a key blob");
    CHECK(text_of(attempt.pin.view()) == "1234");
    CHECK(refusal(parse_request, try_pin_message(std::string(1024, 'x'))) == std::nullopt);
    CHECK(refusal(parse_request, try_pin_message(std::string(1025, 'x'))) == Errc::malformed);
    CHECK(refusal(parse_request, longer(try_pin_message("1234"))) == Errc::malformed);
}

TEST_CASE("a request for the status has no body") {
    const auto whole = extension_named("status@ssh-tpm").bytes();
    CHECK(std::holds_alternative<StatusRequest>(parse_request(whole)));
    CHECK(refusal(parse_request, extension_named("status@ssh-tpm").byte(0).bytes()) == Errc::malformed);
    for (std::size_t length = 1; length < whole.size(); ++length)
        CHECK(refusal(parse_request, ByteView(whole).first(length)) == Errc::malformed);
}

TEST_CASE("tpm-sign is a request for a signature, and nothing behind it") {
    const auto message =
        protocol::sign_request({.key_blob = {1}, .data = {2, 3}, .flags = 4, .explained = true});
    CHECK(message ==
          extension_named("tpm-sign@ssh-tpm").string(Bytes{1}).string(Bytes{2, 3}).uint32(4).bytes());
    const auto request = parse_request(message);
    const auto& sign = std::get<SignRequest>(request);
    CHECK(sign.explained);
    CHECK(sign.key_blob == Bytes{1});
    CHECK(sign.data == Bytes{2, 3});
    CHECK(sign.flags == 4);
    CHECK(refusal(parse_request, longer(message)) == Errc::malformed);
    CHECK(accepted_messages(message).empty());
    const auto plain = protocol::sign_request({.key_blob = {1}, .data = {2, 3}, .flags = 4});
    CHECK_FALSE(std::get<SignRequest>(parse_request(plain)).explained);
}

TEST_CASE("an extension with another name is unknown, and one with no possible name malformed") {
    const auto name = [](std::string_view sent) {
        return std::get<UnknownExtension>(parse_request(extension_named(sent).byte(9).bytes())).name;
    };
    CHECK(name("something@example.com") == "something@example.com");
    CHECK(name("Query") == "Query");
    CHECK(name(std::string(200, 'x')).size() == 200);
    for (const auto& bad : {std::string(), std::string(201, 'x'), std::string("a\nb"),
                            std::string("query\0", 6), std::string("\xff")})
        CHECK(refusal(parse_request, extension_named(bad).bytes()) == Errc::malformed);
}

TEST_CASE("every truncation of a message is refused") {
    for (const auto& message :
         {sign_request(), vectors::message("remove"), with_password(22, "password"),
          with_password(23, "password"), try_pin_message("1234"), extension_named("query").bytes(),
          tpm_add_key(17, "TPMKEY", "pem"), vectors::message("add-rsa"),
          vectors::message("add-certificate-1"), vectors::message("add-certificate-2")}) {
        INFO(hex(message));
        CHECK(accepted_messages(message).empty());
    }
    const auto constrained = vectors::message("add-lifetime-confirm"); // 01 and four bytes, 02
    CHECK(accepted_messages(constrained) == std::vector{constrained.size() - 6, constrained.size() - 1});
}

TEST_CASE("bytes after a well-formed body are ignored where OpenSSH's agent does") {
    CHECK(is<RequestIdentities>(longer({11})));
    CHECK(is<SignRequest>(longer(sign_request())));
    CHECK(is<RemoveIdentity>(longer(vectors::message("remove"))));
    CHECK(is<RemoveAllIdentities>(longer({19})));
    CHECK(is<RemoveAllIdentities>(longer({9})));
    CHECK(is<Query>(longer(extension_named("query").bytes())));
    CHECK(is<SessionBind>(longer(vectors::message("login-direct-1-1"))));
}

TEST_CASE("a key that comes without a lifetime goes on with one") {
    for (const auto* name : {"add-rsa", "add-ed25519", "add-confirm", "add-destinations", "add-certificate-1",
                             "add-certificate-2"}) {
        INFO(name);
        const auto message = vectors::message(name);
        CHECK(with_lifetime(message, 60) == limited(message, 60));
    }
}

TEST_CASE("a lifetime that a key has stays") {
    for (const auto* name : {"add-lifetime", "add-lifetime-confirm"}) {
        INFO(name);
        const auto message = vectors::message(name);
        CHECK(with_lifetime(message, 60) == message);
    }
}

TEST_CASE("the fields of a FIDO key are passed over") {
    auto message =
        wire::Writer().byte(25).text("sk-ssh-ed25519@openssh.com").text("key").text("ssh:").bytes();
    const auto rest = wire::Writer().byte(1).text("handle").text("").text("a comment").bytes();
    message.insert(message.end(), rest.begin(), rest.end());
    CHECK(with_lifetime(message, 5) == limited(message, 5));
    const auto provider =
        wire::Writer().byte(255).text("sk-provider@openssh.com").text("internal").byte(2).bytes();
    message.insert(message.end(), provider.begin(), provider.end());
    CHECK(with_lifetime(message, 5) == limited(message, 5));
}

TEST_CASE("a key of an unknown type gets a lifetime behind its constraints, and keeps the one that it has") {
    const auto fields = [](std::uint8_t number) {
        return wire::Writer().byte(number).text("ssh-new").text("public").text("private").text("comment");
    };
    CHECK(with_lifetime(fields(17).bytes(), 5) == limited(fields(17).bytes(), 5));
    const auto confirmed = fields(25).byte(2).bytes();
    CHECK(with_lifetime(confirmed, 5) == limited(confirmed, 5));
    for (const auto& message :
         {fields(25).byte(1).uint32(9).bytes(), fields(25).byte(2).byte(1).uint32(9).bytes()})
        CHECK(with_lifetime(message, 5) == message);
}

TEST_CASE("a message of unknown form gets a lifetime at its end") {
    auto unknown_constraint = vectors::message("add-lifetime");
    unknown_constraint.push_back(3);
    CHECK(with_lifetime(unknown_constraint, 5) == limited(unknown_constraint, 5));
    const auto flags = wire::Writer().byte(25).text("sk-new").text("key").byte(1).text("handle").bytes();
    CHECK(with_lifetime(flags, 5) == limited(flags, 5));
    CHECK(with_lifetime(Bytes{25}, 5) == limited(Bytes{25}, 5));
}

TEST_CASE("a PKCS#11 provider that comes without a lifetime goes on with one") {
    const auto provider = [](std::uint8_t number) {
        return wire::Writer().byte(number).text("/usr/lib/provider.so").text("1234");
    };
    CHECK(with_lifetime(provider(20).bytes(), 5) == limited(provider(20).bytes(), 5, 26));
    const auto certificates =
        provider(26).byte(255).text("associated-certs-v00@openssh.com").byte(1).text("certificates").bytes();
    CHECK(with_lifetime(certificates, 5) == limited(certificates, 5, 26));
    auto lasting = certificates;
    append(lasting, wire::Writer().byte(1).uint32(9).bytes());
    CHECK(with_lifetime(lasting, 5) == lasting);
}

TEST_CASE("a request about a PKCS#11 provider is known by its number alone") {
    for (const auto number : std::initializer_list<std::uint8_t>{20, 21, 26}) {
        const auto request = parse_request(Bytes{number});
        REQUIRE(is<Smartcard>(Bytes{number}));
        CHECK(std::get<Smartcard>(request).removes == (number == 21));
    }
}
