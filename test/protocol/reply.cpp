// SPDX-License-Identifier: MIT
#include "protocol/reply.hpp"

#include "protocol/frame.hpp"
#include "support/catch.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <cstdint>

using namespace sshtpm;

namespace {

/// The number of keys in a list; checks that the list has as many as it says, and nothing behind them.
std::size_t keys_in(ByteView framed) {
    wire::Reader frame(framed);
    wire::Reader body(frame.string());
    frame.expect_end();
    CHECK(body.byte() == 12);
    const auto count = body.uint32();
    for (std::uint32_t i = 0; i < 2 * count; ++i)
        body.string();
    body.expect_end();
    return count;
}

const Bytes blob(100, 7);

} // namespace

TEST_CASE("a list has at most 2048 keys, and stays below the longest message") {
    CHECK(keys_in(protocol::identities_reply(std::vector<protocol::ListedKey>(3000, {blob, ""}))) == 2048);
    const std::string comment(1000, 'c');
    const auto reply = protocol::identities_reply(std::vector<protocol::ListedKey>(1000, {blob, comment}));
    CHECK(reply.size() <= 4 + protocol::max_message);
    CHECK(keys_in(reply) > 200);
}

TEST_CASE("certificates and keys of newer types are listed last, in their order") {
    const auto of_type = [](std::string_view type) { return wire::Writer().text(type).bytes(); };
    const auto fido = of_type("sk-ssh-ed25519@openssh.com"), unknown = of_type("ssh-mldsa44-ed25519"),
               certificate = of_type("ssh-rsa-cert-v01@openssh.com"), ecdsa = of_type("ecdsa-sha2-nistp256"),
               rsa = of_type("ssh-rsa"), ed25519 = of_type("ssh-ed25519");
    const auto reply = protocol::identities_reply(
        {{fido, "1"}, {ecdsa, "2"}, {certificate, "3"}, {rsa, "4"}, {unknown, "5"}, {ed25519, "6"}});
    std::string order;
    for (const auto& key : protocol::read_identities_reply(ByteView(reply).subspan(4)))
        order += key.comment;
    CHECK(order == "246135");
}
