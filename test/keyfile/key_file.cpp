// SPDX-License-Identifier: MIT
// Files that other programs wrote are read, and the keys are written again.

#include "keyfile/key_file.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/pem.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <filesystem>

using namespace sshtpm;
using namespace support;
using namespace std::string_literals;
using namespace keyfile_test;
using keyfile::KeyKind;
using keyfile::parse_pem;

namespace {

template <class Tpm2b>
ByteView view(const Tpm2b& tpm2b) {
    return ByteView(tpm2b.buffer).first(tpm2b.size);
}

bool holds(ByteView whole, ByteView part) {
    return !std::ranges::search(whole, part).empty();
}

/// The SubjectPublicKeyInfo that tpm2-openssl told of the key.
Bytes spki_of(const std::string& vector) {
    const auto text = data_text("keyfile/" + vector + ".pub");
    const auto body = text.find('\n'), end = text.find("-----END");
    std::string base64 = text.substr(body, end - body);
    std::erase(base64, '\n');
    return base64_decode(base64);
}

} // namespace

TEST_CASE("ECDSA keys of tpm2-openssl are read as openssl reads them") {
    const auto [vector, curve, width] = GENERATE(table<std::string, TPM2_ECC_CURVE, std::size_t>({
        {"openssl-ec-p256", TPM2_ECC_NIST_P256, 32},
        {"openssl-ec-p384", TPM2_ECC_NIST_P384, 48},
        {"openssl-ec-p521", TPM2_ECC_NIST_P521, 66},
    }));
    const auto key = key_from(vector + ".tpm");
    CHECK(key.kind == KeyKind::loadable);
    CHECK(key.empty_auth);
    CHECK(key.parent == TPM2_RH_OWNER);
    CHECK_FALSE(key.rsa_parent);
    CHECK(key.description.empty());
    CHECK(key.policy.empty());
    CHECK(key.public_area.type == TPM2_ALG_ECC);
    CHECK(key.public_area.parameters.eccDetail.curveID == curve);
    CHECK(key.private_area.size > 100);
    const auto& point = key.public_area.unique.ecc;
    CHECK(point.x.size == width);
    Bytes uncompressed{0x04};
    append(uncompressed, view(point.x));
    append(uncompressed, view(point.y));
    CHECK(holds(spki_of(vector), uncompressed));
}

TEST_CASE("RSA keys of tpm2-openssl are read as openssl reads them") {
    const auto [vector, bits] = GENERATE(
        table<std::string, UINT16>({{"openssl-rsa-2048", UINT16{2048}}, {"openssl-rsa-3072", UINT16{3072}}}));
    const auto key = key_from(vector + ".tpm");
    CHECK(key.public_area.type == TPM2_ALG_RSA);
    CHECK(key.public_area.parameters.rsaDetail.keyBits == bits);
    CHECK(key.public_area.unique.rsa.size == bits / 8);
    CHECK(holds(spki_of(vector), view(key.public_area.unique.rsa)));
}

TEST_CASE("all three states of emptyAuth are read") {
    CHECK(key_from("openssl-ec-p256.tpm").empty_auth);           // BOOLEAN 01
    CHECK(key_from("go-ec-p256.tpm").empty_auth);                // BOOLEAN FF
    CHECK_FALSE(key_from("openssl-ec-p256-pin.tpm").empty_auth); // BOOLEAN 00
    CHECK_FALSE(key_from("openssl-rsa-2048-pin.tpm").empty_auth);
    CHECK_FALSE(key_from("go-ec-p256-pin.tpm").empty_auth); // absent
    CHECK_FALSE(key_from("go-rsa-2048-pin.tpm").empty_auth);
}

TEST_CASE("parents that are hierarchies and persistent handles are read") {
    CHECK(key_from("openssl-ec-p256-persistent.tpm").parent == 0x81000001);
    CHECK(key_from("go-ec-p256-endorsement.tpm").parent == TPM2_RH_ENDORSEMENT);
    auto parts = keyfile_test::parts_of_a_key();
    for (const auto& [digits, handle] : {std::pair{"40000001", TPM2_RH_OWNER},
                                         {"4000000b", TPM2_RH_ENDORSEMENT},
                                         {"4000000c", TPM2_RH_PLATFORM},
                                         {"40000007", TPM2_RH_NULL},
                                         {"0081000000", TPM2_HANDLE{0x81000000}},
                                         {"0081ffffff", TPM2_HANDLE{0x81FFFFFF}},
                                         {"00", TPM2_RH_OWNER}}) {
        parts.parent = keyfile_test::integer(digits);
        CHECK(keyfile::parse_der(parts.together()).parent == handle);
    }
}

TEST_CASE("keys of go-tpm-keyfiles are read") {
    for (const auto& [vector, curve] : {std::pair{"go-ec-p256.tpm", TPM2_ECC_NIST_P256},
                                        {"go-ec-p384.tpm", TPM2_ECC_NIST_P384},
                                        {"go-ec-p521.tpm", TPM2_ECC_NIST_P521}})
        CHECK(key_from(vector).public_area.parameters.eccDetail.curveID == curve);
    CHECK(key_from("go-ec-p256.tpm").description == "test@example");
    CHECK(key_from("go-rsa-2048.tpm").public_area.type == TPM2_ALG_RSA);
    CHECK(key_from("go-ec-p256-narrow.tpm").public_area.unique.ecc.x.size == 31);
}

TEST_CASE("keys of create_tpm2_key, which leaves emptyAuth out of the file of a key with a PIN, are read") {
    const auto ecc = key_from("engine-ec-p256.tpm");
    CHECK(ecc.empty_auth);
    CHECK(ecc.public_area.parameters.eccDetail.curveID == TPM2_ECC_NIST_P256);
    CHECK_FALSE(key_from("engine-ec-p256-pin.tpm").empty_auth);
    CHECK(key_from("engine-ec-p256-persistent.tpm").parent == 0x81000001);
    CHECK(key_from("engine-ec-p256-importable.tpm").kind == KeyKind::importable);
    const auto pcr = key_from("engine-ec-p256-pcr.tpm");
    REQUIRE(pcr.policy.size() == 1);
    CHECK(pcr.policy[0].command_code == TPM2_CC_PolicyPCR);
    const auto rsa = key_from("engine-rsa-2048.tpm");
    CHECK((rsa.public_area.objectAttributes & TPMA_OBJECT_DECRYPT) != 0);
    CHECK((rsa.public_area.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0);
}

TEST_CASE("importable and sealed keys are read as such") {
    const auto importable = key_from("go-ec-p256-importable.tpm");
    CHECK(importable.kind == KeyKind::importable);
    CHECK(importable.secret.size() == 70); // a TPM2B_ENCRYPTED_SECRET with a point on P-256
    CHECK(importable.secret[1] == 68);
    const auto sealed = key_from("go-sealed.tpm");
    CHECK(sealed.kind == KeyKind::sealed);
    CHECK(sealed.public_area.type == TPM2_ALG_KEYEDHASH);
    CHECK(sealed.secret.empty());
}

TEST_CASE("policies are read in their order") {
    const auto key = key_from("go-ec-p256-policies.tpm");
    const keyfile::PolicyCommand pcr{TPM2_CC_PolicyPCR, Bytes(6)};
    const keyfile::PolicyCommand auth_value{TPM2_CC_PolicyAuthValue, {}};
    CHECK(key.policy == std::vector{pcr, auth_value});
    REQUIRE(key.auth_policies.size() == 2);
    CHECK(key.auth_policies[0] == keyfile::AuthPolicy{"kernel 6.1", {pcr}});
    CHECK(key.auth_policies[1] == keyfile::AuthPolicy{"", {pcr, auth_value}});
}

TEST_CASE("every optional field of a loadable key is read") {
    const auto key = keyfile::parse_der(data_file("keyfile/all-fields.der"));
    CHECK_FALSE(key.empty_auth);
    CHECK(key.policy.size() == 2);
    CHECK(key.auth_policies.size() == 2);
    CHECK(key.description == "Schlüssel der Werkstatt");
    CHECK(key.rsa_parent);
    CHECK(key.parent == TPM2_RH_OWNER); // written as 0
}

TEST_CASE("a comment in front of the block is the description of a block without one") {
    const auto bare = data_text("keyfile/openssl-ec-p256.tpm");
    const auto described = data_text("keyfile/go-ec-p256.tpm");
    CHECK(parse_pem("Comment: me@host\n" + bare).description == "me@host");
    CHECK(parse_pem("Comment: me@host\r\n" + bare).description == "me@host");
    CHECK(parse_pem("Key 7\n\nComment:  two  spaces \nComment: second\n" + bare).description ==
          " two  spaces ");
    CHECK(parse_pem("comment: no\nComment\n Comment: no\n" + bare).description.empty());
    CHECK(parse_pem("Comment: me@host\n" + described).description == "test@example");
    const auto of_rfc_4716 = "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"its own\"\nAAAA\n"s;
    CHECK(parse_pem(of_rfc_4716 + "---- END SSH2 PUBLIC KEY ----\nComment: me@host\n" + bare).description ==
          "me@host");
    CHECK(parse_pem("-----BEGIN X-----\nComment: a\n\nAAAA\n-----END X-----\n" + bare).description.empty());
    const std::string filler(keyfile::max_file_size - bare.size() - 1,
                             'x'); // and a file has 64 KiB at the most
    CHECK_NOTHROW(parse_pem(filler + "\n" + bare));
    CHECK_THROWS_WITH(parse_pem(filler + "x\n" + bare), "larger than 65536 bytes");
}

TEST_CASE("descriptions that could deceive who reads them are refused") {
    const auto bare = data_text("keyfile/openssl-ec-p256.tpm");
    const auto parts = keyfile_test::parts_of_a_key();
    const auto refused = [&](const std::string& text) {
        auto described = parts;
        described.optional =
            described.optional + keyfile_test::element(0xA4, keyfile_test::element(0x0C, bytes_of(text)));
        auto complaint = keyfile_test::der_complaint(described.together());
        if (text.find('\n') == std::string::npos)
            CHECK_THROWS_WITH(parse_pem("Comment: " + text + "\n" + bare), contains("comment: text"));
        return complaint;
    };
    CHECK_THAT(refused("a\x1B[2Jb"), contains("control or invisible characters: a?[2Jb"));
    CHECK_THAT(refused("a\nb"), contains("description: text with control"));
    CHECK_THAT(refused("bidi \u202E"), contains("description: text with control")); // printable.cpp has more
    CHECK_THAT(refused("latin1 \xFC"), contains("not UTF-8"));
    CHECK_THAT(refused(std::string(1025, 'x')), contains("1025 bytes"));
    CHECK_THAT(refused("-----BEGIN TSS2 PRIVATE KEY-----"), contains("-----BEGIN"));
    CHECK(parse_pem("Comment: " + std::string(1024, 'x') + "\n" + bare).description.size() == 1024);
    CHECK(parse_pem("Comment: Schlüssel 🔑\n" + bare).description == "Schlüssel 🔑");
}

TEST_CASE("every vector is the same key when it is written and read again") {
    std::size_t vectors = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data_path("keyfile"))) {
        if (entry.path().extension() != ".tpm")
            continue;
        ++vectors;
        INFO(entry.path().filename());
        const auto key = key_from(entry.path().filename().string());
        CHECK(keyfile_test::same(keyfile::parse_pem(keyfile::to_pem(key)), key));
        CHECK(keyfile_test::same(keyfile::parse_der(keyfile::to_der(key)), key));
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

TEST_CASE("the DER of a file of go-tpm-keyfiles comes out byte for byte, with its description") {
    for (const auto* vector : {"go-ec-p256.tpm", "go-rsa-2048.tpm"}) {
        INFO(vector);
        const auto key = key_from(vector);
        CHECK_FALSE(key.description.empty());
        CHECK(encode_pem(keyfile::to_der(key), keyfile::pem_label) ==
              data_text("keyfile/" + std::string(vector)));
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
        CHECK_THROWS_AS(keyfile::to_der(key), Error);
    }
}
