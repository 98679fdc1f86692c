#include "protocol/added_key.hpp"

#include "protocol/vectors.hpp"
#include "support/catch.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using protocol::with_lifetime;

namespace {

Bytes limited(Bytes message, std::uint32_t seconds) {
    message.front() = 25;
    const auto constraint = wire::Writer().byte(1).uint32(seconds).bytes();
    message.insert(message.end(), constraint.begin(), constraint.end());
    return message;
}

} // namespace

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

TEST_CASE("a key of an unknown type, or with an unknown constraint, has no place for a lifetime") {
    CHECK_FALSE(
        with_lifetime(wire::Writer().byte(17).text("ssh-new").text("key").text("comment").bytes(), 5));
    auto message = vectors::message("add-ed25519");
    message.push_back(3);
    CHECK_FALSE(with_lifetime(message, 5));
    CHECK_FALSE(with_lifetime(vectors::message("list"), 5));
}

TEST_CASE("of the prefixes of a message, the one that ends where its constraints begin has a place alone") {
    const auto message = vectors::message("add-confirm");
    std::vector<std::size_t> accepted;
    for (std::size_t size = 0; size < message.size(); ++size)
        if (with_lifetime(ByteView(message).first(size), 5))
            accepted.push_back(size);
    CHECK(accepted == std::vector<std::size_t>{message.size() - 1});
}
