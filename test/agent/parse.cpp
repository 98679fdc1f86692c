#include "agent/parse.hpp"

#include "base/error.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "wire/writer.hpp"

using namespace sshtpm;
using namespace sshtpm::agent;

namespace {

Bytes sign_request() {
    return wire::Writer().byte(13).text("a key blob").text("data").uint32(4).bytes();
}

} // namespace

TEST_CASE("a sign request is its key, its data and its flags") {
    const auto request = parse_request(sign_request());
    const auto& sign = std::get<SignRequest>(request);
    CHECK(text_of(sign.key_blob) == "a key blob");
    CHECK(text_of(sign.data) == "data");
    CHECK(sign.flags == 4);
}

TEST_CASE("every truncation of a sign request is refused") {
    auto accepted = support::accepted_prefixes(sign_request(), [](ByteView prefix) {
        if (!prefix.empty())
            parse_request(prefix);
        else
            throw Error(Errc::malformed, "the frame buffer gives no empty message");
    });
    CHECK(accepted.empty());
}

TEST_CASE("bytes after a well-formed body are ignored") {
    auto message = sign_request();
    message.push_back(0);
    CHECK(std::holds_alternative<SignRequest>(parse_request(message)));
    CHECK(std::holds_alternative<RequestIdentities>(parse_request(Bytes{11, 1, 2, 3})));
}

TEST_CASE("every other number is a message that is not served, whatever its body") {
    for (unsigned number = 0; number < 256; ++number) {
        if (number == SSH_AGENTC_REQUEST_IDENTITIES || number == SSH_AGENTC_SIGN_REQUEST)
            continue;
        const auto request = parse_request(Bytes{static_cast<std::uint8_t>(number), 0xFF, 0xFF});
        CHECK(std::get<Unsupported>(request).number == number);
    }
}
