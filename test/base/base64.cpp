// SPDX-License-Identifier: MIT
#include "base/base64.hpp"

#include "support/test.hpp"

#include <algorithm>
#include <cstdint>

using namespace sshtpm;
using namespace support;

namespace {

/// RFC 4648 section 10: the encodings of "", "f", "fo" and so on.
constexpr std::string_view rfc4648[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};

} // namespace

TEST_CASE("the vectors of RFC 4648 are encoded and decoded") {
    for (const auto& encoded : rfc4648) {
        const auto plain = std::string_view("foobar").substr(0, static_cast<std::size_t>(&encoded - rfc4648));
        CHECK(base64_encode(bytes_of(plain)) == encoded);
        CHECK(text_of(base64_decode(encoded)) == plain);
        CHECK(base64_encode(bytes_of(plain), Base64Padding::without) ==
              encoded.substr(0, std::min(encoded.find('='), encoded.size())));
    }
}

TEST_CASE("every byte value survives both ways") {
    Bytes all;
    for (unsigned value = 0; value < 256; ++value)
        all.push_back(static_cast<std::uint8_t>(value));
    const auto text = base64_encode(all);
    CHECK(text.find_first_of("+/") != std::string::npos);
    CHECK(base64_decode(text) == all);
}

TEST_CASE("base64 in any form but the canonical one is refused") {
    for (const std::string_view text : {
             "Zg",             // padding missing
             "Zg=",            // half of it
             "Zg===",          // too much
             "Zm9v====",       // where none belongs
             "Z",              // six bits are no byte
             "Zh==",           // unused bits that are not zero
             "Zm9=",           // the same, with two bits
             "Zm 9v",          // a blank
             "Zm9v\n",         // a newline
             " Zm9v",          //
             "Zm-v",           // the alphabet for URLs
             "Zm_v",           // the same
             "Zg==Zg==",       // two encodings in a row
             "=",              // padding alone
             "====",           //
             "Zm9v\xc3\xa9==", // not the alphabet
         }) {
        INFO(text);
        CHECK(refusal([&] { base64_decode(text); }) == Errc::malformed);
    }
    CHECK(refusal([] { base64_decode(std::string_view("Zm9v\0", 5)); }) == Errc::malformed);
}

TEST_CASE("no byte outside the alphabet is taken, at any place") {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned value = 0; value < 256; ++value) {
        const char c = static_cast<char>(value);
        if (alphabet.find(c) != std::string_view::npos)
            continue;
        for (std::size_t at = 0; at < 8; ++at) {
            std::string text = "Zm9vYmFy";
            text[at] = c;
            INFO(value);
            CHECK(refusal([&] { base64_decode(text); }) == Errc::malformed);
        }
    }
}
