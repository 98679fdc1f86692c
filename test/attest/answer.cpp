// SPDX-License-Identifier: MIT
#include "attest/answer.hpp"

#include "base/base64.hpp"
#include "support/test.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

using namespace sshtpm;
using namespace support;

namespace {

const attest::Question& asked() {
    static const auto question = attest::Question::parse(data_text("attest/answer/question"));
    return question;
}

std::string answer_text(std::string_view name) {
    return data_text("attest/answer/" + std::string(name) + ".json");
}

/// What an answer proves, as a text; nothing if it is refused.
std::optional<std::string> proven(std::string_view text, ByteView host_key) {
    try {
        const auto answer = attest::Answer::parse(text);
        const auto boot = attest::verify(answer, asked(), host_key);
        std::string facts = hex(boot.ak_name) + ' ' + std::to_string(boot.clock.resetCount) + ' ' +
                            std::to_string(boot.firmware);
        for (const auto& [number, value] : boot.pcrs)
            facts += ' ' + std::to_string(number) + '=' + hex(value);
        for (const auto& key : answer.keys)
            facts += ' ' + hex(key.ssh.blob());
        return facts;
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// @returns false if the changed answer proves something else
bool is_harmless(const std::string& changed, ByteView host_key, const std::string& facts) {
    const auto found = proven(changed, host_key);
    return !found || *found == facts;
}

} // namespace

TEST_CASE("a question has one form") {
    const auto text = data_text("attest/answer/question");
    CHECK(asked().text() == text);
    CHECK(asked().pcrs == attest::usual_pcrs());
    const auto fresh = attest::Question::fresh(attest::usual_pcrs());
    CHECK(fresh.nonce != attest::Question::fresh(attest::usual_pcrs()).nonce);
    CHECK(attest::Question::parse(fresh.text()).nonce == fresh.nonce);
    for (std::size_t i = 0; i < text.size(); ++i) {
        CHECK(refusal(attest::Question::parse, std::string_view(text).substr(0, i)) == Errc::malformed);
        CHECK(refusal(attest::Question::parse, std::string(text).insert(i, " ")) == Errc::malformed);
    }
}

TEST_CASE("the answer of a TPM proves its boot") {
    for (const char* const name : {"swtpm", "rsa"}) {
        const auto text = answer_text(name);
        const auto answer = attest::Answer::parse(text);
        CHECK(answer.text() == text);
        for (const auto& key : answer.keys)
            CHECK(proven(text, key.ssh.blob()));
        CHECK_FALSE(proven(text, Bytes(40)));
        CHECK(refusal([&] {
                  attest::verify(answer, attest::Question::fresh(asked().pcrs), answer.keys[0].ssh.blob());
              }) == Errc::refused);
        CHECK_THAT(complaint([&] { attest::verify(answer, asked(), {}); }),
                   Catch::Matchers::StartsWith("the host key of this connection"));
    }
}

TEST_CASE("no bit of an answer can be another one", "[long]") {
    const auto text = answer_text("swtpm");
    const auto key = copy_of(attest::Answer::parse(text).keys[0].ssh.blob());
    const auto facts = proven(text, key).value();
    for (std::size_t i = 0; i < text.size(); ++i)
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto changed = text;
            changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ 1U << bit);
            if (!is_harmless(changed, key, facts))
                FAIL("bit " << bit << " of byte " << i);
        }
}

TEST_CASE("no bit of a field of an answer can be another one") {
    const auto text = answer_text("swtpm");
    const auto key = copy_of(attest::Answer::parse(text).keys[0].ssh.blob());
    const auto facts = proven(text, key).value();
    std::size_t fields = 0;
    for (const std::string_view name :
         {"\"public\":\"", "\"attest\":\"", "\"sig\":\"", "\"certInfo\":\"", "nistp256 "})
        for (auto begin = text.find(name); begin != std::string::npos; begin = text.find(name, begin + 1)) {
            const auto at = begin + name.size();
            const auto size = text.find('"', at) - at;
            const auto field = base64_decode(std::string_view(text).substr(at, size));
            ++fields;
            for (std::size_t i = 0; i < 8 * field.size(); ++i) {
                auto flipped = field;
                flipped[i / 8] ^= static_cast<std::uint8_t>(1U << i % 8);
                if (!is_harmless(std::string(text).replace(at, size, base64_encode(flipped)), key, facts))
                    FAIL("bit " << i << " of " << name << " at " << at);
            }
        }
    CHECK(fields == 10);
}
