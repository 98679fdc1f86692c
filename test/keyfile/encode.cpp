#include "base/error.hpp"
#include "keyfile/pem.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <filesystem>

using namespace sshtpm;
using namespace support;
using keyfile_test::key_from;

TEST_CASE("every vector is the same key when it is written and read again") {
    std::size_t vectors = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data_path("keyfile"))) {
        if (entry.path().extension() != ".tpm")
            continue;
        ++vectors;
        INFO(entry.path().filename());
        const auto key = key_from(entry.path().filename().string());
        CHECK(keyfile_test::same(keyfile::parse_pem(keyfile::to_pem(key)), key));
        auto bare = key;
        bare.description.clear();
        CHECK(keyfile_test::same(keyfile::parse_der(keyfile::to_der(key)), bare));
    }
    CHECK(vectors > 30);
    const auto key = keyfile::parse_der(data_file("keyfile/all-fields.der"));
    CHECK(keyfile_test::same(keyfile::parse_pem(keyfile::to_pem(key)), key));
}

TEST_CASE("files of go-tpm-keyfiles without description and PIN come out byte for byte") {
    for (const auto* vector : {"go-ec-p384.tpm", "go-ec-p521.tpm", "go-ec-p256-policies.tpm",
                               "go-ec-p256-endorsement.tpm", "go-sealed.tpm"}) {
        INFO(vector);
        CHECK(keyfile::to_pem(key_from(vector)) == data_text("keyfile/" + std::string(vector)));
    }
}

TEST_CASE("no file is written of a key that the TPM makes from a seed") {
    auto key = key_from("openssl-ec-p256.tpm");
    key.kind = keyfile::KeyKind::primary;
    CHECK(refusal([&] { keyfile::to_pem(key); }) == Errc::unsupported);
}

TEST_CASE("that there is a PIN is written out, for tpm2-openssl, where others leave the field away") {
    const auto key = key_from("go-rsa-2048-pin.tpm");
    const auto ours = keyfile::to_der(key);
    CHECK_FALSE(keyfile::parse_der(ours).empty_auth);
    const Bytes field{0xA0, 0x03, 0x01, 0x01, 0x00}; // [0] EXPLICIT BOOLEAN FALSE
    CHECK(std::search(ours.begin(), ours.end(), field.begin(), field.end()) != ours.end());
}

TEST_CASE("the description is a line in front of a block that does not have it") {
    auto key = key_from("openssl-ec-p256.tpm");
    const auto bare = keyfile::to_pem(key);
    key.description = "me@host";
    CHECK(keyfile::to_pem(key) == "Comment: me@host\n" + bare);
    for (const auto* text : {"Schlüssel 🔑", " spaces ", "Comment: Comment: x", ":", "-----END"}) {
        key.description = text;
        CHECK(keyfile::parse_pem(keyfile::to_pem(key)).description == text);
    }
}

TEST_CASE("a description that would not be read again is not written") {
    auto key = key_from("openssl-ec-p256.tpm");
    for (const auto& text : {std::string("two\nlines"), std::string("\xFF"), std::string(1025, 'x'),
                             std::string("-----BEGIN TSS2 PRIVATE KEY-----")}) {
        key.description = text;
        CHECK_THROWS_AS(keyfile::to_pem(key), Error);
    }
}
