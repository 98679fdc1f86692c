// SPDX-License-Identifier: MIT
#include "base/pem.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace std::string_literals;

namespace {

constexpr std::string_view label = "TSS2 PRIVATE KEY";
const std::string begin = "-----BEGIN TSS2 PRIVATE KEY-----\n";
const std::string end = "-----END TSS2 PRIVATE KEY-----\n";

Bytes pem_content(const std::string& text) {
    return decode_pem(text, label).content;
}

} // namespace

TEST_CASE("what is written in PEM, in lines of 64 characters, is read again") {
    CHECK(encode_pem(Bytes(48), label) == begin + std::string(64, 'A') + '\n' + end);
    CHECK(encode_pem(Bytes(51), label) == begin + std::string(64, 'A') + "\nAAAA\n" + end);
    for (std::size_t size : {1U, 47U, 48U, 49U, 96U, 1000U}) {
        Bytes content(size);
        std::generate(content.begin(), content.end(), [byte = std::uint8_t{0}]() mutable { return byte++; });
        CHECK(pem_content(encode_pem(content, label)) == content);
    }
}

TEST_CASE("the text around the block is handed over") {
    const auto before = "Comment: me\n\n-----BEGINNING-----\n----- BEGIN x -----\n-----BEGIN me\n"s;
    for (const auto* const after :
         {"", "\n\n", "more\n", "more", "\x1A", "-----END TSS2 PRIVATE KEY-----\n"}) {
        const auto text = before + begin + "AAAA\n" + end + after;
        const auto block = decode_pem(text, label);
        CHECK(block.before == before);
        CHECK(block.content == Bytes(3));
        CHECK(block.after == after);
    }
    CHECK(decode_pem(begin + "AAAA\n-----END TSS2 PRIVATE KEY-----", label).after.empty());
    const auto marked = "\xEF\xBB\xBF" + begin + "AAAA\n" + end;
    CHECK(decode_pem(marked, label).before.empty());
}

TEST_CASE("public keys, certificates and parameters may be around the private key") {
    const auto other = [](const std::string& name) {
        return "-----BEGIN " + name + "-----\nBBBB\n-----END " + name + "-----\n";
    };
    const auto block = begin + "AAAA\n" + end;
    for (const auto* const name : {"PUBLIC KEY", "CERTIFICATE", "EC PARAMETERS", "ANYTHING"}) {
        CHECK(pem_content(other(name) + block) == Bytes(3));
        CHECK(pem_content(block + other(name)) == Bytes(3));
        CHECK(find_private_key(other(name) + block)->label == label);
        CHECK_FALSE(find_private_key(other(name)));
    }
}

TEST_CASE("white space that RFC 7468 allows, and any width of lines, are taken") {
    for (const std::string space : {" ", "\t", "\r", "\v\f", "  \r"}) {
        CHECK(pem_content("-----BEGIN TSS2 PRIVATE KEY-----" + space + "\nAAAA" + space +
                          "\n-----END TSS2 PRIVATE KEY-----" + space + '\n') == Bytes(3));
        CHECK(pem_content(begin + space + "AA" + space + "AA\n" + end) == Bytes(3));
    }
    CHECK(pem_content(begin + "\n\nAAAA\n\nAAAA\n  \n" + end) == Bytes(6));
    CHECK(pem_content(begin + "A\nA\nA\nA\n" + end) == Bytes(3));
    CHECK(pem_content(begin + std::string(4000, 'A') + "\n" + end) == Bytes(3000));
}

TEST_CASE("two private keys in one file are refused, whatever their kinds") {
    const auto block = begin + "AAAA\n" + end;
    const auto two = "two private keys in one file";
    CHECK_THROWS_WITH(pem_content(block + block), two);
    for (const auto* const name :
         {"PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "TPM PRIVATE KEY"}) {
        const auto other = "-----BEGIN " + std::string(name) + "-----\n";
        CHECK_THROWS_WITH(pem_content(other + block), two);
        CHECK_THROWS_WITH(pem_content(block + other), two);
        CHECK_THROWS_WITH(find_private_key(other + block), two);
    }
}

TEST_CASE("a text without a private key is refused with its first block") {
    CHECK_THROWS_WITH(pem_content(""), "the file is empty");
    CHECK_THROWS_WITH(pem_content(" \n\n"), "the file is empty");
    CHECK_THROWS_WITH(pem_content("hello\n"), contains("no private key"));
    CHECK_THROWS_WITH(pem_content(std::string("\0\x01\xFF", 3)), contains("no private key"));
    CHECK_THROWS_WITH(pem_content(" " + begin + "AAAA\n" + end), contains("no private key"));
    CHECK_THROWS_WITH(pem_content("-----BEGIN CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n"),
                      R"(the file holds "CERTIFICATE", which is no private key)");
    CHECK_THROWS_WITH(pem_content("-----BEGIN \x1B[2J-----\n"), contains(R"("?[2J")"));
    CHECK_THROWS_WITH(
        pem_content("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
        R"(the file holds "OPENSSH PRIVATE KEY" instead of "TSS2 PRIVATE KEY")");
}

TEST_CASE("a block that ends wrongly is refused") {
    CHECK_THROWS_WITH(pem_content(begin), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n"), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n-----END TSS2 PRIVATE KEY----"), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA-----END TSS2 PRIVATE KEY-----\n"), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n-----END PRIVATE KEY-----\n"),
                      contains(R"(ends as "PRIVATE KEY")"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n-----BEGIN CERTIFICATE-----\n" + end),
                      "a second PEM block begins within the first");
    CHECK_THROWS_WITH(pem_content(begin + end), "the PEM block is empty");
    CHECK_THROWS_WITH(pem_content(begin + " \n\n" + end), "the PEM block is empty");
}

TEST_CASE("a damaged body is refused") {
    for (const auto* body : {"AAA", "AAA=A", "AA=", "AB==", "AA-A", "AA\xC3\xA4", "AAAA\xC2\xA0", "> AAAA"}) {
        std::string text = begin;
        text.append(body).append("\n").append(end);
        CHECK_THROWS_WITH(pem_content(text), contains("base64 text is damaged"));
    }
    CHECK_THROWS_WITH(pem_content(begin + "AAA=\nAAAA\n" + end), contains("base64 text is damaged"));
    CHECK_THROWS_WITH(pem_content(begin + "Proc-Type: 4,ENCRYPTED\n\nAAAA\n" + end), contains("headers"));
}

TEST_CASE("every prefix of a PEM file but for its last line end is refused") {
    const auto text = "Comment: me\n" + encode_pem(Bytes(100, 0x5A), label);
    const auto whole = bytes_of(text).first(text.size() - 1);
    CHECK(accepted_prefixes(whole, [](ByteView prefix) { decode_pem(text_of(prefix), label); }).empty());
    CHECK(pem_content(std::string(text_of(whole))) == Bytes(100, 0x5A));
}
