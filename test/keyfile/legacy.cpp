// SPDX-License-Identifier: MIT
// Key files of ssh-tpm-agent 0.1 and 0.2.

#include "base/pem.hpp"
#include "keyfile/key_file.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/usable.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace std::string_literals;
using namespace keyfile_test;
using keyfile::Legacy;

namespace {

constexpr std::string_view label_0_1 = "TPM EC PRIVATE KEY", label_0_2 = "TPM PRIVATE KEY";

std::string text_of_vector(const std::string& name) {
    return data_text("keyfile/" + name);
}

/// What is in the PEM block of a vector.
Bytes pem_content_of(const std::string& name) {
    const auto text = text_of_vector(name);
    return decode_pem(text, find_private_key(text).value().label).content;
}

/// What parse_key_file says of this content: "" when it takes it.
std::string legacy_complaint(const Bytes& content, std::string_view label) {
    return complaint([&] { keyfile::parse_key_file(encode_pem(content, label)); });
}

Bytes changed(Bytes content, std::size_t at, std::uint8_t value) {
    content.at(at) = value;
    return content;
}

} // namespace

TEST_CASE("key files of ssh-tpm-agent 0.1 and 0.2 are read") {
    struct Vector {
        std::string name;
        Legacy legacy;
        TPMI_ALG_PUBLIC type;
        bool empty_auth;
        std::string comment;
    };
    const auto vector =
        GENERATE(Vector{"legacy/0.1-ecdsa.tpm", Legacy::release_0_1, TPM2_ALG_ECC, true, ""},
                 Vector{"legacy/0.1-ecdsa-pin.tpm", Legacy::release_0_1, TPM2_ALG_ECC, false, ""},
                 Vector{"legacy/0.2-ecdsa.tpm", Legacy::release_0_2, TPM2_ALG_ECC, true, "test@example"},
                 Vector{"legacy/0.2-ecdsa-pin.tpm", Legacy::release_0_2, TPM2_ALG_ECC, false, "test@example"},
                 Vector{"legacy/0.2-rsa.tpm", Legacy::release_0_2, TPM2_ALG_RSA, true, ""},
                 Vector{"legacy/0.2-rsa-pin.tpm", Legacy::release_0_2, TPM2_ALG_RSA, false, "test@example"});
    const auto text = text_of_vector(vector.name);
    REQUIRE(keyfile::is_legacy(text));
    const auto key = keyfile::parse_key_file(text);
    CHECK(key.legacy == vector.legacy);
    CHECK(key.public_area.type == vector.type);
    CHECK(key.empty_auth == vector.empty_auth);
    CHECK(key.description == vector.comment);
    CHECK(key.kind == keyfile::KeyKind::loadable);
    CHECK(key.parent == TPM2_RH_OWNER);
    CHECK_FALSE(key.rsa_parent);
    CHECK_NOTHROW(keyfile::require_signing_key(key));
    CHECK(keyfile::to_key_file(key) == text);
}

TEST_CASE("the format of a key file is told by the block of its private key") {
    CHECK(keyfile::parse_key_file(text_of_vector("go-ec-p256.tpm")).legacy == Legacy::none);
    CHECK_FALSE(keyfile::is_legacy(text_of_vector("go-ec-p256.tpm")));
    CHECK_FALSE(keyfile::is_legacy(""));
    CHECK_FALSE(keyfile::is_legacy("TPM PRIVATE KEY"));
    const auto current = text_of_vector("go-ec-p256.tpm"), old = text_of_vector("legacy/0.2-rsa.tpm");
    CHECK(refusal(keyfile::parse_key_file, current + old) == Errc::malformed);
    CHECK(refusal(keyfile::parse_key_file, old + current) == Errc::malformed);
    CHECK(refusal(keyfile::parse_pem, old) == Errc::malformed);
    const auto key = keyfile::parse_key_file(current);
    CHECK(keyfile::to_key_file(key) == keyfile::to_pem(key)); // and it is written in that format
}

TEST_CASE("the text around a key stays when its file is written again") {
    for (const auto* name : {"go-ec-p256.tpm", "legacy/0.2-rsa.tpm"}) {
        auto key = keyfile::parse_key_file(text_of_vector(name));
        const auto plain = keyfile::to_key_file(key);
        CHECK(keyfile::to_key_file(key, plain) == plain);
        CHECK(keyfile::to_key_file(key, "# a\r\n\nOwner: b\n" + plain) == "# a\r\n\nOwner: b\n" + plain);
        const auto certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\r\n\nb"s;
        CHECK(keyfile::to_key_file(key, "# a\n" + plain + certificate) == "# a\n" + plain + certificate);
        key.description = "new";
        CHECK(keyfile::to_key_file(key, "# a\n" + plain) == "# a\n" + keyfile::to_key_file(key));
        CHECK(keyfile::to_key_file(key, "\xEF\xBB\xBF" + plain) == keyfile::to_key_file(key));
    }
    auto key = keyfile::parse_key_file(text_of_vector("go-ec-p256.tpm"));
    key.description = "new";
    const auto plain = keyfile::to_key_file(key);
    CHECK(keyfile::to_key_file(key, "Comment: old\n#\n" + text_of_vector("go-ec-p256.tpm")) == "#\n" + plain);
    CHECK(refusal([&] { keyfile::to_key_file(key, "Comment: old\n" + plain); }) == Errc::malformed);
    const auto other = "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"a\"\nA\n---- END SSH2 PUBLIC KEY ----\n"s;
    CHECK(keyfile::to_key_file(key, other + plain) == other + plain);
    CHECK(refusal([&] { keyfile::to_key_file(key, plain + plain); }) == Errc::malformed);
    CHECK(refusal([&] { keyfile::to_key_file(key, "-----BEGIN X-----\nA\n" + plain); }) == Errc::malformed);
}

TEST_CASE("a changed comment and PIN status are in the file that is written") {
    auto key = keyfile::parse_key_file(text_of_vector("legacy/0.2-rsa.tpm"));
    key.description = "ein Schlüssel";
    key.empty_auth = false;
    const auto again = keyfile::parse_key_file(keyfile::to_key_file(key));
    CHECK(again.description == "ein Schlüssel");
    CHECK_FALSE(again.empty_auth);
    CHECK(same(again, key));

    key.description = "two\nlines";
    CHECK(refusal([&] { keyfile::to_key_file(key); }) == Errc::malformed);
}

TEST_CASE("a key file of 0.1 has no place for a comment") {
    auto key = keyfile::parse_key_file(text_of_vector("legacy/0.1-ecdsa.tpm"));
    key.description = "a comment";
    CHECK(refusal([&] { keyfile::to_key_file(key); }) == Errc::unsupported);
    auto content = pem_content_of("legacy/0.1-ecdsa.tpm");
    content.push_back('a');
    CHECK_THAT(legacy_complaint(content, label_0_1), contains("bytes after the private area (1)"));
}

TEST_CASE("a key file of 0.1 or 0.2 that is cut short anywhere is refused") {
    for (const auto* name : {"legacy/0.1-ecdsa.tpm", "legacy/0.2-rsa.tpm"}) {
        const auto label = std::string_view(name).starts_with("legacy/0.1") ? label_0_1 : label_0_2;
        const auto parse = [&](ByteView prefix) { keyfile::parse_key_file(encode_pem(prefix, label)); };
        const auto content = pem_content_of(name);
        CHECK_NOTHROW(parse(content));
        CHECK(accepted_prefixes(content, parse).empty());
    }
    // The comment has no length: a file that ends within it is another whole file.
    const auto content = pem_content_of("legacy/0.2-ecdsa.tpm");
    const auto parse = [](ByteView prefix) { keyfile::parse_key_file(encode_pem(prefix, label_0_2)); };
    const auto accepted = accepted_prefixes(content, parse);
    CHECK(accepted.size() == std::string_view("test@example").size());
}

TEST_CASE("a text that is cut short within the PEM block, or too large, is refused") {
    const auto text = text_of_vector("legacy/0.2-rsa-pin.tpm");
    const auto parse = [](ByteView prefix) { keyfile::parse_key_file(text_of(prefix)); };
    const auto whole = text.substr(0, text.size() - 1); // the last line end may be missing
    CHECK_NOTHROW(keyfile::parse_key_file(whole));
    CHECK(accepted_prefixes(bytes_of(whole), parse).empty());
    CHECK_THROWS_WITH(keyfile::parse_key_file(std::string(keyfile::max_file_size, '\n') + text),
                      contains("larger than"));
}

TEST_CASE("a version, PIN status or algorithm that is not known is refused") {
    const auto content = pem_content_of("legacy/0.2-ecdsa.tpm");
    CHECK(legacy_complaint(content, label_0_2).empty());
    const auto complains = [&](std::size_t at, std::uint8_t value, const char* words) {
        CHECK_THAT(legacy_complaint(changed(content, at, value), label_0_2), contains(words));
    };
    complains(0, 0, "version 0");
    complains(0, 2, "version 2");
    complains(0, 255, "version 255");
    complains(1, 2, "PIN status of 2");
    complains(1, 255, "PIN status of 255");
    complains(3, TPM2_ALG_ECC, "algorithm ECC");
    complains(2, 0xFF, "algorithm 0xff18");
    const auto future = encode_pem(changed(content, 0, 2), label_0_2);
    CHECK(refusal(keyfile::parse_key_file, future) == Errc::unsupported);
}

TEST_CASE("a public area of another type than the file says is refused") {
    const auto ecdsa = pem_content_of("legacy/0.2-ecdsa.tpm"), rsa = pem_content_of("legacy/0.2-rsa.tpm");
    CHECK_THAT(legacy_complaint(changed(ecdsa, 3, TPM2_ALG_RSA), label_0_2),
               contains("type ECC in a file that"));
    CHECK_THAT(legacy_complaint(changed(rsa, 3, TPM2_ALG_ECDSA), label_0_2),
               contains("type RSA in a file that"));
    Bytes rsa_as_0_1{1, 0};
    append(rsa_as_0_1, ByteView(rsa).subspan(4));
    CHECK_THAT(legacy_complaint(rsa_as_0_1, label_0_1), contains("type RSA in a file that"));
}

TEST_CASE("sizes that lie within the file are refused") {
    const auto content = pem_content_of("legacy/0.2-ecdsa.tpm");
    const std::size_t public_size = 4;
    CHECK_FALSE(legacy_complaint(changed(content, public_size, 0xFF), label_0_2).empty());
    CHECK_FALSE(legacy_complaint(changed(content, public_size + 1, 0x00), label_0_2).empty());
    const auto less = static_cast<std::uint8_t>(content[public_size + 1] - 1);
    CHECK_FALSE(legacy_complaint(changed(content, public_size + 1, less), label_0_2).empty());
    const std::size_t private_size = public_size + 2 + content[public_size + 1];
    CHECK_FALSE(legacy_complaint(changed(content, private_size, 0xFF), label_0_2).empty());
}

TEST_CASE("a comment that could deceive, or is too long, is refused") {
    const auto content = pem_content_of("legacy/0.2-rsa.tpm");
    const auto with = [&](std::string_view comment) {
        auto longer = content;
        append(longer, bytes_of(comment));
        return legacy_complaint(longer, label_0_2);
    };
    CHECK(with("fine").empty());
    CHECK(with(std::string(1024, 'x')).empty());
    CHECK_THAT(with(std::string(1025, 'x')), contains("1024 are the most"));
    CHECK_THAT(with(std::string_view("zero\0", 5)), contains("control")); // parse.cpp has the others
}
