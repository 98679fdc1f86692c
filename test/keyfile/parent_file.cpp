#include "base/error.hpp"
#include "keyfile/marshal.hpp"
#include "keyfile/wrap.hpp"
#include "support/catch.hpp"
#include "support/data.hpp"
#include "support/refusal.hpp"

using namespace sshtpm;
using keyfile::parse_parent;
using support::contains;

namespace {

Bytes parent(const std::string& name) {
    return support::data_file("keyfile/parents/" + name);
}

/// What parse_parent says; "" when it takes the file.
std::string parent_complaint(ByteView file) {
    try {
        parse_parent(file);
        return {};
    } catch (const Error& error) {
        CHECK((error.code() == Errc::malformed || error.code() == Errc::unsupported));
        CHECK_FALSE(error.hint().empty());
        return error.what();
    }
}

} // namespace

TEST_CASE("a storage key is the same from its PEM and from its TPM2B_PUBLIC") {
    const auto from_tss = keyfile::marshal_public(parse_parent(parent("ecc-p256.pub")));
    CHECK(from_tss == parent("ecc-p256.pub"));
    CHECK(from_tss == keyfile::marshal_public(parse_parent(parent("ecc-p256.pem"))));
}

TEST_CASE("keys that nothing can be wrapped for are refused with the reason") {
    CHECK_THAT(parent_complaint(parent("rsa-2048.pub")), contains("type RSA"));
    CHECK_THAT(parent_complaint(parent("rsa-2048.pem")), contains("an RSA key"));
    CHECK_THAT(parent_complaint(parent("ecc-p384.pub")), contains("NIST P-384"));
    CHECK_THAT(parent_complaint(parent("ecc-p384.pem")), contains("another curve"));
    CHECK_THAT(parent_complaint(parent("ecc-p256-sha384.pub")), contains("SHA-384"));
    CHECK_THAT(parent_complaint(parent("ecc-p256-aes256.pub")), contains("AES-128"));
    CHECK_THAT(parent_complaint(parent("ecc-p256-sign.pub")), contains("a signing key"));
    CHECK_THAT(parent_complaint(parent("ecc-p256-decrypt.pub")), contains("not a storage key"));
}

TEST_CASE("files that hold something else are refused") {
    CHECK_THAT(parent_complaint(support::data_file("ssh/private/ecdsa-256.pem")), contains("a private key"));
    CHECK_THAT(parent_complaint(support::data_file("ssh/private/ecdsa-256.pkcs8-encrypted")),
               contains("a private key"));
    CHECK_THAT(parent_complaint(support::data_file("ssh/private/ecdsa-256.openssh")),
               contains("a private key"));
    CHECK_THAT(parent_complaint(support::data_file("keyfile/openssl-ec-p256.tpm")),
               contains("a private key"));
    CHECK_THAT(parent_complaint(bytes_of("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")),
               contains("not a public key in PEM"));
    CHECK_THAT(parent_complaint(support::data_file("ssh/private/ecdsa-256.pub")), contains("neither"));
    CHECK_THAT(parent_complaint({}), contains("neither"));
}

TEST_CASE("every prefix of a parent's file is refused") {
    const auto tss = parent("ecc-p256.pub");
    CHECK(support::accepted_prefixes(tss, parse_parent).empty());
    auto pem = parent("ecc-p256.pem");
    pem.pop_back(); // the last newline
    CHECK(support::accepted_prefixes(pem, parse_parent).empty());
    CHECK_NOTHROW(parse_parent(pem));
}

TEST_CASE("a point that is not on the curve is refused in PEM") {
    const auto text = support::data_text("keyfile/parents/ecc-p256.pem");
    auto changed = text;
    auto& c = changed[text.find("\n-----END") - 4];
    c = c == 'A' ? 'B' : 'A';
    CHECK_FALSE(parent_complaint(bytes_of(changed)).empty());
}
