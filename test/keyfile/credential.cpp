// SPDX-License-Identifier: MIT
// That TPMs open what make_credential makes is in test/tpm/credential.cpp.
#include "keyfile/credential.hpp"

#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/object_name.hpp"
#include "open_credential.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <cstdint>
#include <iterator>

using namespace sshtpm;
using namespace support;
using keyfile::make_credential;
using keyfile::parse_credential;
using keyfile_test::open_credential;

namespace {

struct EndorsementKey {
    const char* file;
    const char* private_key;
    std::size_t id_object_size; ///< of a credential with 32 bytes
    std::size_t secret_size;    ///< with coordinates of full width

    TPMT_PUBLIC area() const {
        return keyfile::unmarshal_public(data_file("keyfile/credentials/" + std::string(file) + ".pub"));
    }
    Bytes credential_file() const {
        return data_file("keyfile/credentials/" + std::string(file) + ".credential");
    }
    std::string pem() const { return data_text("ssh/private/" + std::string(private_key) + ".pem"); }
};

constexpr EndorsementKey endorsement_keys[] = {
    {"l1-rsa-2048", "rsa-2048", 68, 256},           {"l2-ecc-p256", "ecdsa-256", 68, 2 * (2 + 32)},
    {"h3-ecc-p384", "ecdsa-384", 84, 2 * (2 + 48)}, {"h4-ecc-p521", "ecdsa-521", 100, 2 * (2 + 66)},
    {"h6-rsa-3072", "rsa-3072", 84, 384},           {"h7-rsa-4096", "rsa-4096", 84, 512},
};

constexpr std::string_view secret_text = "the secret of a credential, 32 B";

/// The Name in the credential files.
Bytes file_name() {
    Bytes name(34, 0xA5);
    name[0] = 0;
    name[1] = TPM2_ALG_SHA256;
    return name;
}

Secret secret_of(std::string_view text) {
    return Secret::copy_of(bytes_of(text));
}

} // namespace

TEST_CASE("a Name is the one that a TPM computes") {
    const auto [file, name] = GENERATE(table<const char*, const char*>({
        {"l1-rsa-2048", "000bca3545aafdc57e72b36cd2085020dc17479201ea576139d7ce0e21e031189198"},
        {"l2-ecc-p256", "000b82767a2ae136d9e266f02e32b2e1944cbbc2ab3099d5c8de4bd5a9250f9970da"},
        {"h3-ecc-p384", "000cfb985c00b98da4b56abe4c81ec68125192261fc87d04d09846b80a551daa"
                        "188bea5fad9966fe040700cc9e04d956c959"},
        {"h4-ecc-p521", "000d94869d4353f187d93597b40afbc4177c2ab775d8412471f8f3258a244a27"
                        "aa44c14c4b8e5a6433d05d867107518dd1d123a8ab341f09e8658d6d7e5d509e0dbd"},
    }));
    const auto area = EndorsementKey{file, "", 0, 0}.area();
    CHECK(hex(keyfile::object_name(area)) == name);
    CHECK(keyfile::is_object_name(keyfile::object_name(area)));
}

TEST_CASE("an object whose nameAlg is not SHA-2 has no Name here") {
    auto area = endorsement_keys[0].area();
    for (const TPMI_ALG_HASH algorithm : {TPM2_ALG_SHA1, TPM2_ALG_SHA3_256, TPM2_ALG_NULL}) {
        area.nameAlg = algorithm;
        CHECK(refusal([&] { keyfile::object_name(area); }) == Errc::unsupported);
    }
    auto name = file_name();
    CHECK(keyfile::is_object_name(name));
    CHECK(accepted_prefixes(name, [](ByteView prefix) {
              if (!keyfile::is_object_name(prefix))
                  malformed("no Name");
          }).empty());
    name.push_back(0);
    CHECK_FALSE(keyfile::is_object_name(name));
    name.pop_back();
    for (const auto algorithm : {TPM2_ALG_SHA384, TPM2_ALG_SM3_256, TPM2_ALG_SHA3_256}) {
        name[1] = static_cast<std::uint8_t>(algorithm);
        CHECK_FALSE(keyfile::is_object_name(name));
    }
}

TEST_CASE("the files of tpm2_makecredential are read, and written as they were") {
    for (const auto& key : endorsement_keys) {
        CAPTURE(key.file);
        const auto file = key.credential_file();
        const auto credential = parse_credential(file);
        CHECK(credential.id_object.size == key.id_object_size);
        CHECK(credential.secret.size == key.secret_size);
        CHECK(keyfile::to_file(credential) == file);
        CHECK(open_credential(key.pem(), key.area(), file_name(), credential) ==
              copy_of(bytes_of(secret_text)));
    }
}

TEST_CASE("the private key of every kind of endorsement key opens a credential for it") {
    const auto name = file_name();
    auto other_name = name;
    other_name.back() ^= 1U;
    for (const auto& key : endorsement_keys) {
        CAPTURE(key.file);
        const auto area = key.area();
        const auto credential = make_credential(area, name, secret_of(secret_text));
        CHECK(credential.id_object.size == key.id_object_size);
        CHECK(credential.secret.size == key.secret_size);
        CHECK(open_credential(key.pem(), area, name, credential) == copy_of(bytes_of(secret_text)));
        CHECK_THROWS_WITH(open_credential(key.pem(), area, other_name, credential), "integrity");
        const auto read = parse_credential(keyfile::to_file(credential));
        CHECK(open_credential(key.pem(), area, name, read) == copy_of(bytes_of(secret_text)));
        CHECK(keyfile::to_file(make_credential(area, name, secret_of(secret_text))) !=
              keyfile::to_file(credential));
    }
}

TEST_CASE("a credential for a Name of every kind opens by that Name") {
    const auto& ours = endorsement_keys[1];
    for (const auto& object : endorsement_keys) {
        CAPTURE(object.file);
        const auto name = keyfile::object_name(object.area());
        const auto credential = make_credential(ours.area(), name, secret_of("x"));
        CHECK(open_credential(ours.pem(), ours.area(), name, credential) == Bytes{'x'});
    }
}

TEST_CASE("a secret is as long as a digest of the endorsement key's nameAlg at most") {
    for (const auto& key : endorsement_keys) {
        CAPTURE(key.file);
        const auto area = key.area();
        const std::size_t most = key.id_object_size - 2 - 2 - 32; // the HMAC is as long
        const std::string longest(most, 'x');
        CHECK(open_credential(key.pem(), area, file_name(),
                              make_credential(area, file_name(), secret_of(longest))) ==
              copy_of(bytes_of(longest)));
        CHECK_THAT(complaint([&] { make_credential(area, file_name(), secret_of(longest + 'x')); }),
                   contains("a secret of " + std::to_string(most + 1) + " bytes"));
        CHECK(refusal([&] { make_credential(area, file_name(), Secret()); }) == Errc::malformed);
    }
}

TEST_CASE("a credential for a key that is no endorsement key is refused") {
    const auto refused = [](const TPMT_PUBLIC& area) {
        return complaint([&] { make_credential(area, file_name(), secret_of(secret_text)); });
    };
    CHECK_THAT(refused(keyfile_test::key_from("openssl-ec-p256.tpm").public_area),
               contains("the endorsement key is a signing key"));
    CHECK_THAT(refused(keyfile_test::key_from("tools-ec-p256-decrypt.tpm").public_area),
               contains("the endorsement key is not a storage key"));
    auto area = endorsement_keys[0].area();
    area.nameAlg = TPM2_ALG_SHA1;
    CHECK_THAT(refused(area), contains("SHA-1"));
    area = endorsement_keys[1].area();
    area.unique.ecc.y.buffer[31] ^= 1U;
    CHECK_THAT(refused(area), contains("not a point of its curve"));
}

TEST_CASE("a credential for bytes that are no Name is refused") {
    const auto area = endorsement_keys[1].area();
    auto name = file_name();
    const auto refused = [&] { make_credential(area, name, secret_of(secret_text)); };
    SECTION("none") {
        name.clear();
    }
    SECTION("a handle") {
        name = {0x40, 0, 0, 0x0B};
    }
    SECTION("a digest that is too short") {
        name.pop_back();
    }
    SECTION("by SHA-1") {
        name.resize(22);
        name[1] = TPM2_ALG_SHA1;
    }
    CHECK_THAT(complaint(refused), contains("a credential for a Name of"));
}

TEST_CASE("files that are no credentials are refused") {
    const auto good = endorsement_keys[0].credential_file();
    CHECK(accepted_prefixes(good, parse_credential).empty());
    auto changed = good;
    SECTION("bytes behind it") {
        changed.push_back(0);
        CHECK_THROWS_WITH(parse_credential(changed), "bytes behind the credential (1)");
    }
    SECTION("another magic number") {
        changed[0] ^= 1U;
        CHECK_THROWS_WITH(parse_credential(changed), "not a credential file of tpm2_makecredential");
    }
    SECTION("another version") {
        changed[7] = 2;
        CHECK(refusal([&] { parse_credential(changed); }) == Errc::unsupported);
    }
    SECTION("an empty structure") {
        changed.resize(8);
        changed.insert(changed.end(), {0, 0, 0, 1, 'x'});
        CHECK_THROWS_WITH(parse_credential(changed), "a TPM2B_ID_OBJECT of 0 bytes");
        changed.resize(8);
        changed.insert(changed.end(), {0, 1, 'x', 0, 0});
        CHECK_THROWS_WITH(parse_credential(changed), "a TPM2B_ENCRYPTED_SECRET of 0 bytes");
    }
    SECTION("structures as large as they can be, and larger") {
        const auto file_with = [&](std::size_t id_object, std::size_t secret) {
            auto file = copy_of(ByteView(good).first(8));
            append(file, keyfile::tpm2b_around(Bytes(id_object)));
            append(file, keyfile::tpm2b_around(Bytes(secret)));
            return file;
        };
        const auto most_id = std::size(TPM2B_ID_OBJECT{}.credential);
        const auto most_secret = std::size(TPM2B_ENCRYPTED_SECRET{}.secret);
        CHECK(keyfile::to_file(parse_credential(file_with(most_id, most_secret))) ==
              file_with(most_id, most_secret));
        CHECK_THAT(complaint(parse_credential, file_with(most_id + 1, 1)), contains("a TPM2B_ID_OBJECT of"));
        CHECK_THAT(complaint(parse_credential, file_with(1, most_secret + 1)),
                   contains("a TPM2B_ENCRYPTED_SECRET of"));
    }
}

TEST_CASE("a credential whose sizes lie is not written") {
    auto credential = parse_credential(endorsement_keys[0].credential_file());
    credential.id_object.size = 0xFFFF;
    CHECK(refusal([&] { keyfile::to_file(credential); }) == Errc::malformed);
    credential = parse_credential(endorsement_keys[0].credential_file());
    credential.secret.size = 0xFFFF;
    CHECK(refusal([&] { keyfile::to_file(credential); }) == Errc::malformed);
}
