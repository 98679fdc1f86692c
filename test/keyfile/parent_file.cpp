#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"
#include "support/test.hpp"

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

} // namespace

TEST_CASE("a storage key is the same from its PEM and from its TPM2B_PUBLIC") {
    const auto from_tss = keyfile::marshal_public(parse_parent(parent("ecc-p256.pub")));
    CHECK(from_tss == parent("ecc-p256.pub"));
    CHECK(from_tss == keyfile::marshal_public(parse_parent(parent("ecc-p256.pem"))));
}

TEST_CASE(
    "keys that nothing can be wrapped for, and files that hold something else, are refused with the reason") {
    const auto [file, words] = GENERATE(table<const char*, const char*>({
        {"keyfile/parents/rsa-2048.pub", "type RSA"},
        {"keyfile/parents/rsa-2048.pem", "an RSA key"},
        {"keyfile/parents/ecc-p384.pub", "NIST P-384"},
        {"keyfile/parents/ecc-p384.pem", "another curve"},
        {"keyfile/parents/ecc-p256-sha384.pub", "SHA-384"},
        {"keyfile/parents/ecc-p256-aes256.pub", "AES-128"},
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
    const auto tss = parent("ecc-p256.pub");
    CHECK(accepted_prefixes(tss, parse_parent).empty());
    auto pem = parent("ecc-p256.pem");
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
