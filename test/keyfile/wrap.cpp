// SPDX-License-Identifier: MIT
#include "keyfile/wrap.hpp"

#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <algorithm>

using namespace sshtpm;
using namespace support;
using keyfile::parse_parent;

namespace {

Bytes parent(const std::string& name) {
    return data_file("keyfile/parents/" + name);
}

/// What parse_parent says of a file that it must not take.
std::string parent_complaint(ByteView file) {
    const auto error = thrown(parse_parent, file);
    CHECK((error.code() == Errc::malformed || error.code() == Errc::unsupported));
    CHECK_FALSE(error.hint().empty());
    return error.what();
}

struct Wrapping {
    TPMT_PUBLIC parent = keyfile::parse_parent(data_file("keyfile/parents/ecc-p256.pub"));
    TPMT_PUBLIC key = keyfile_test::key_from("go-ec-p256-importable.tpm").public_area;
    Secret sensitive = Secret::copy_of(Bytes(32, 1));

    keyfile::KeyFile wrap(std::string_view pin = "") const {
        return keyfile::wrap(parent, key, sensitive, bytes_of(pin));
    }
};

} // namespace

TEST_CASE("a wrapped key is an importable key file, and never the same twice") {
    const Wrapping wrapping;
    const auto a = wrapping.wrap("1234"), b = wrapping.wrap("1234"), without = wrapping.wrap();
    CHECK(a.kind == keyfile::KeyKind::importable);
    CHECK_FALSE(a.empty_auth);
    CHECK(without.empty_auth);
    CHECK(a.parent == TPM2_RH_OWNER);
    CHECK(a.secret != b.secret);
    CHECK(keyfile::marshal_private(a.private_area) != keyfile::marshal_private(b.private_area));
    // How long the PIN is cannot be seen.
    CHECK(a.private_area.size == without.private_area.size);
    CHECK(keyfile_test::same(keyfile::parse_pem(keyfile::to_pem(a)), a));
}

TEST_CASE("what does not fit is not wrapped") {
    Wrapping wrapping;
    CHECK(refusal([&] { wrapping.wrap(std::string(33, 'x')); }) == Errc::malformed);
    SECTION("a number that no key has") {
        wrapping.sensitive = Secret::copy_of(Bytes(1000, 'x'));
    }
    SECTION("a point that is not on the curve") {
        wrapping.parent.unique.ecc.y.buffer[31] ^= 1U;
    }
    SECTION("a coordinate that is too wide") {
        wrapping.parent.unique.ecc.x.size = 33;
        wrapping.parent.unique.ecc.x.buffer[0] = 1;
    }
    CHECK(refusal([&] { wrapping.wrap(); }) == Errc::malformed);
}

TEST_CASE("a storage key is the same from its PEM and from its TPM2B_PUBLIC") {
    const std::string name = GENERATE("ecc-p256", "rsa-2048");
    const auto from_tss = keyfile::marshal_public(parse_parent(parent(name + ".pub")));
    CHECK(from_tss == parent(name + ".pub"));
    CHECK(from_tss == keyfile::marshal_public(parse_parent(parent(name + ".pem"))));
}

// That TPMs take the result is in test/scenario/keygen_parents.py.
TEST_CASE("keys are wrapped by the parent's own algorithms") {
    const auto [name, seed_size, digest_size] = GENERATE(table<const char*, std::size_t, std::size_t>({
        {"ecc-p256.pub", 2 * (2 + 32), 32},
        {"ecc-p384.pub", 2 * (2 + 48), 32},
        {"ecc-p256-sha384.pub", 2 * (2 + 32), 48},
        {"ecc-p256-aes256.pub", 2 * (2 + 32), 32},
        {"rsa-2048.pub", 256, 32},
    }));
    CAPTURE(name);
    Wrapping wrapping;
    wrapping.parent = parse_parent(parent(name));
    const auto wrapped = wrapping.wrap("1234");
    CHECK(keyfile::content_of_tpm2b(wrapped.secret).size() == seed_size);
    CHECK(wrapped.private_area.buffer[1] == digest_size);
    CHECK(wrapping.wrap("1234").secret != wrapped.secret);
}

TEST_CASE("a storage key that nothing can be wrapped for is refused by the name of its algorithm") {
    auto ecc = parse_parent(parent("ecc-p256.pub")), rsa = parse_parent(parent("rsa-2048.pub"));
    const auto refused = [](const TPMT_PUBLIC& area) {
        return complaint([&] { keyfile::require_storage_key(area); });
    };
    for (auto* area : {&ecc, &rsa}) {
        CHECK_NOTHROW(keyfile::require_storage_key(*area));
        auto other = *area;
        other.nameAlg = TPM2_ALG_SM3_256;
        CHECK_THAT(refused(other), contains("SM3-256"));
        other = *area;
        other.parameters.asymDetail.symmetric.algorithm = TPM2_ALG_CAMELLIA;
        CHECK_THAT(refused(other), contains("CAMELLIA of 128 bits"));
        other.parameters.asymDetail.symmetric = {TPM2_ALG_AES, {.aes = 128}, {.aes = TPM2_ALG_CBC}};
        CHECK_THAT(refused(other), contains("AES in CFB mode is wanted"));
        other = *area;
        other.type = TPM2_ALG_SYMCIPHER;
        CHECK_THAT(refused(other), contains("SYMCIPHER"));
    }
    ecc.parameters.eccDetail.curveID = TPM2_ECC_BN_P256;
    CHECK_THAT(refused(ecc), contains("BN P-256"));
    rsa.unique.rsa.size = 128;
    CHECK_THAT(refused(rsa), contains("modulus of 128 bytes"));
}

TEST_CASE("an RSA parent that cannot encrypt a seed is refused") {
    Wrapping wrapping;
    wrapping.parent = parse_parent(parent("rsa-2048.pub"));
    SECTION("a modulus of zero") {
        std::ranges::fill(wrapping.parent.unique.rsa.buffer, BYTE{0});
    }
    SECTION("a modulus with zeros in front") {
        std::fill_n(wrapping.parent.unique.rsa.buffer, 200, BYTE{0});
    }
    CHECK(refusal([&] { wrapping.wrap(); }) == Errc::malformed);
}

TEST_CASE(
    "keys that nothing can be wrapped for, and files that hold something else, are refused with the reason") {
    const auto [file, words] = GENERATE(table<const char*, const char*>({
        {"keyfile/parents/ecc-p384.pem", "another curve"},
        {"keyfile/openssl-rsa-3072.pub", "3072 bits"},
        {"keyfile/parents/ecc-p256-sign.pub", "a signing key"},
        {"keyfile/parents/ecc-p256-decrypt.pub", "not a storage key"},
        {"ssh/private/ecdsa-256.pem", "a private key"},
        {"ssh/private/ecdsa-256.pkcs8-encrypted", "a private key"},
        {"ssh/private/ecdsa-256.openssh", "a private key"},
        {"keyfile/openssl-ec-p256.tpm", "a private key"},
        {"ssh/private/ecdsa-256.pub", "neither"},
    }));
    CHECK_THAT(parent_complaint(data_file(file)), contains(words));
    CHECK_THAT(parent_complaint(bytes_of("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")),
               contains("not a public key in PEM"));
    CHECK_THAT(parent_complaint({}), contains("neither"));
}

TEST_CASE("every prefix of a parent's file is refused") {
    const std::string name = GENERATE("ecc-p256", "rsa-2048");
    const auto tss = parent(name + ".pub");
    CHECK(accepted_prefixes(tss, parse_parent).empty());
    auto pem = parent(name + ".pem");
    pem.pop_back(); // the last newline
    CHECK(accepted_prefixes(pem, parse_parent).empty());
    CHECK_NOTHROW(parse_parent(pem));
}

TEST_CASE("a point that is not on the curve is refused in PEM") {
    const auto text = data_text("keyfile/parents/ecc-p256.pem");
    auto changed = text;
    auto& c = changed[text.find("\n-----END") - 4];
    c = c == 'A' ? 'B' : 'A';
    CHECK_FALSE(parent_complaint(bytes_of(changed)).empty());
}
