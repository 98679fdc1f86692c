#include "keyfile/pem.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace support;
using keyfile::decode_pem;
using keyfile::encode_pem;

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

TEST_CASE("explanatory text in front of the block is handed over") {
    const auto text = "Comment: me\n\n-----BEGINNING-----\n" + begin + "AAAA\n" + end;
    const auto block = decode_pem(text, label);
    CHECK(block.preamble == "Comment: me\n\n-----BEGINNING-----\n");
    CHECK(block.content == Bytes(3));
    const auto bare = begin + "AAAA\n" + end;
    CHECK(decode_pem(bare, label).preamble.empty());
}

TEST_CASE("line ends and line widths of other writers are taken") {
    CHECK(pem_content(
              "text\r\n-----BEGIN TSS2 PRIVATE KEY-----\r\nAAAA\r\n-----END TSS2 PRIVATE KEY-----\r\n") ==
          Bytes(3));
    CHECK(pem_content(begin + "AAAA\n-----END TSS2 PRIVATE KEY-----") == Bytes(3)); // no line end at the end
    CHECK(pem_content(begin + std::string(76, 'A') + "\nAA==\n" + end) == Bytes(58));
    CHECK(pem_content(begin + "AAAA\n" + end + " \t\r\n\n") == Bytes(3));
}

TEST_CASE("what is no PEM file is refused") {
    CHECK_THROWS_WITH(pem_content(""), "the file is empty");
    CHECK_THROWS_WITH(pem_content(" \n\n"), "the file is empty");
    CHECK_THROWS_WITH(pem_content("hello\n"), contains("not a PEM file"));
    CHECK_THROWS_WITH(pem_content(std::string("\0\x01\xFF", 3)), contains("not a PEM file"));
    CHECK_THROWS_WITH(pem_content(" " + begin + "AAAA\n" + end), contains("not a PEM file"));
}

TEST_CASE("a block of another label is refused by its name") {
    CHECK_THROWS_WITH(
        pem_content("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
        R"(the file holds "OPENSSH PRIVATE KEY" instead of "TSS2 PRIVATE KEY")");
    CHECK_THROWS_WITH(pem_content("-----BEGIN \x1B[2J-----\n"), contains(R"("?[2J")"));
    // Readers that take the first block would read another one than readers that look for the label.
    CHECK_THROWS_WITH(pem_content("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + begin +
                                  "AAAA\n" + end),
                      contains(R"(holds "CERTIFICATE")"));
}

TEST_CASE("a second block and text behind the block are refused") {
    const auto block = begin + "AAAA\n" + end;
    CHECK_THROWS_WITH(pem_content(block + block), "more than one PEM block");
    CHECK_THROWS_WITH(pem_content(block + "\n-----BEGIN CERTIFICATE-----\n"), "more than one PEM block");
    CHECK_THROWS_WITH(pem_content(block + "more\n"), "text behind the PEM block");
    CHECK_THROWS_WITH(pem_content(begin + block), "a second PEM block begins within the first");
}

TEST_CASE("a block that ends wrongly is refused") {
    CHECK_THROWS_WITH(pem_content(begin), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n"), contains("no END line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n-----END TSS2 PRIVATE KEY----"), contains("line"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n-----END PRIVATE KEY-----\n"),
                      contains(R"(ends as "PRIVATE KEY")"));
    CHECK_THROWS_WITH(pem_content(begin + end), "the PEM block is empty");
}

TEST_CASE("a damaged body is refused") {
    for (const auto* body : {"AAA", "AAA=A", "AA=", "AB==", "AA A", "AAAA ", "AA-A", "AA\xC3\xA4"}) {
        std::string text = begin;
        text.append(body).append("\n").append(end);
        CHECK_THROWS_WITH(pem_content(text), contains("base64 text is damaged"));
    }
    CHECK_THROWS_WITH(pem_content(begin + "AAA=\nAAAA\n" + end), contains("base64 text is damaged"));
    CHECK_THROWS_WITH(pem_content(begin + "AAAA\n\nAAAA\n" + end), contains("empty line"));
    CHECK_THROWS_WITH(pem_content(begin + "Proc-Type: 4,ENCRYPTED\n\nAAAA\n" + end), contains("headers"));
    CHECK_THROWS_WITH(pem_content(begin + std::string(80, 'A') + '\n' + end), contains("more than 76"));
}

TEST_CASE("every prefix of a PEM file but for its last line end is refused") {
    const auto text = "Comment: me\n" + encode_pem(Bytes(100, 0x5A), label);
    const auto whole = bytes_of(text).first(text.size() - 1);
    CHECK(accepted_prefixes(whole, [](ByteView prefix) { decode_pem(text_of(prefix), label); }).empty());
    CHECK(pem_content(std::string(text_of(whole))) == Bytes(100, 0x5A));
}
