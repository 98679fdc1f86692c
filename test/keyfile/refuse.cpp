// SPDX-License-Identifier: MIT
// What parse_der refuses: each case is one key file with one thing wrong.

#include "base/error.hpp"
#include "der/der.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <cstdint>

using namespace sshtpm;
using namespace support;
using namespace keyfile_test;

namespace {

Bytes oid(std::string_view digits) {
    return element(0x06, unhex(digits));
}

const Bytes importable = oid("67 81 05 0a 01 04");
const Bytes sealed = oid("67 81 05 0a 01 05");

/// What parse_der says of a key that has these optional fields.
std::string complaint_with(const Bytes& optional) {
    auto parts = parts_of_a_key();
    parts.optional = optional;
    return der_complaint(parts.together());
}

/// TPMPolicy with these elements in it.
Bytes policy_with(const Bytes& fields) {
    return element(0xA1, element(0x30, element(0x30, fields)));
}

const Bytes code = element(0xA0, integer("017f"));
const Bytes parameters = element(0xA1, octet_string(Bytes(6)));

} // namespace

TEST_CASE("the parts that are put together wrongly here are right as they are") {
    CHECK(parts_of_a_key().together() == data_file("keyfile/openssl-ec-p256.der"));
    CHECK(der_complaint(parts_of_a_key().together()).empty());
    CHECK(complaint_with({}).empty());
    CHECK(complaint_with(policy_with(code + parameters)).empty());
}

TEST_CASE("a key file that is cut short anywhere is refused, with its outer length right too") {
    for (const auto* vector :
         {"openssl-ec-p256.tpm", "go-ec-p256-policies.tpm", "go-ec-p256-importable.tpm"}) {
        const auto der = keyfile::to_der(keyfile_test::key_from(vector));
        CHECK(accepted_prefixes(der, keyfile::parse_der).empty());
    }
    const auto der = data_file("keyfile/all-fields.der");
    der::Reader outer(der);
    const auto content = outer.sequence().rest();
    const auto parse = [](ByteView prefix) { keyfile::parse_der(element(0x30, prefix)); };
    CHECK(accepted_prefixes(content, parse).empty());
    CHECK_NOTHROW(parse(content));
}

TEST_CASE("bytes behind the key, and behind the last element of any field, are refused") {
    const auto null = unhex("05 00");
    const auto boolean = unhex("01 01 ff");
    CHECK_THAT(der_complaint(parts_of_a_key().together() + Bytes{0}), contains("bytes after the end (1)"));
    CHECK_THAT(der_complaint(parts_of_a_key().together(null)), contains("bytes after the end (2)"));
    CHECK_THAT(complaint_with(element(0xA0, boolean + null)), contains("emptyAuth: bytes after the end"));
    CHECK_THAT(complaint_with(element(0xA1, element(0x30, {}) + null)),
               contains("policy: bytes after the end"));
    CHECK_THAT(complaint_with(policy_with(code + parameters + null)),
               contains("policy: bytes after the end"));
    CHECK_THAT(complaint_with(policy_with(element(0xA0, integer("017f") + null) + parameters)),
               contains("policy: bytes after the end"));
    CHECK_THAT(complaint_with(policy_with(code + element(0xA1, octet_string({}) + null))),
               contains("policy: bytes after the end"));
    const auto auth_policy = [](const Bytes& fields) {
        return element(0xA3, element(0x30, element(0x30, fields)));
    };
    const auto steps = element(0xA1, element(0x30, element(0x30, code + parameters)));
    CHECK(complaint_with(auth_policy(steps)).empty());
    CHECK_THAT(complaint_with(auth_policy(steps + null)), contains("authPolicy: bytes after the end"));
    CHECK_THAT(complaint_with(auth_policy(element(0xA0, element(0x0C, {}) + null) + steps)),
               contains("authPolicy: name: bytes after the end"));
    CHECK_THAT(complaint_with(element(0xA4, element(0x0C, {}) + null)),
               contains("description: bytes after the end"));
    CHECK_THAT(complaint_with(element(0xA5, boolean + null)), contains("rsaParent: bytes after the end"));
}

TEST_CASE("fields out of order, twice, or unknown are refused") {
    const auto boolean = unhex("01 01 ff");
    const auto empty_auth = element(0xA0, boolean);
    const auto rsa_parent = element(0xA5, boolean);
    CHECK(complaint_with(empty_auth + rsa_parent).empty());
    CHECK_THAT(complaint_with(rsa_parent + empty_auth), contains("[0] is there twice or out of order"));
    CHECK_THAT(complaint_with(empty_auth + empty_auth), contains("[0] is there twice or out of order"));
    CHECK_THAT(complaint_with(element(0xA6, octet_string(Bytes(34)))), contains("[6] that is not known"));
    CHECK_THAT(complaint_with(element(0xBE, boolean)), contains("[30] that is not known"));
}

TEST_CASE("a reference to a persistent key is refused as what it is") {
    for (const auto* handle : {"81000001", "81000100", "81010000", "81010002"}) {
        const auto text = data_text("keyfile/handles/" + std::string(handle) + ".tpm");
        const auto error = thrown(keyfile::parse_pem, text);
        CHECK(error.code() == Errc::unsupported);
        CHECK_THAT(error.what(), contains("privkey: a reference to a key at a persistent handle"));
        CHECK_THAT(error.hint(), contains("ssh-tpm keygen"));
    }
}

TEST_CASE("a type of key that is not one of the draft is refused by its number") {
    auto parts = parts_of_a_key();
    parts.type = oid("67 81 05 0a 01 06");
    CHECK(der_complaint(parts.together()) == "type: unknown type of key 2.23.133.10.1.6");
    CHECK(refusal(keyfile::parse_der, parts.together()) == Errc::unsupported);
    parts.type = oid("67 81 05 0a 01");
    CHECK_THAT(der_complaint(parts.together()), contains("2.23.133.10.1"));
    parts.type = oid("67 81");
    CHECK_THAT(der_complaint(parts.together()), contains("type: OBJECT IDENTIFIER that is cut short"));
    parts.type = element(0x06, Bytes(1000, 0x01));
    CHECK(der_complaint(parts.together()).size() < 200);
}

TEST_CASE("a parent that is neither a hierarchy nor persistent is refused") {
    auto parts = parts_of_a_key();
    for (const auto* digits :
         {"0080000000", "0080ffffff", "0082000000", "40000002", "4000000a", "01", "01c00002"}) {
        parts.parent = integer(digits);
        CHECK_THAT(der_complaint(parts.together()),
                   contains("is neither a hierarchy nor a persistent handle"));
    }
    parts.parent = integer("81000001"); // as writers with 32-bit longs have it
    CHECK_THAT(der_complaint(parts.together()), contains("parent: a negative INTEGER"));
    parts.parent = integer("0100000000");
    CHECK_THAT(der_complaint(parts.together()), contains("parent: INTEGER above 2^32-1"));
    parts.parent = octet_string(unhex("40000001"));
    CHECK_THAT(der_complaint(parts.together()), contains("parent: OCTET STRING where INTEGER belongs"));
}

TEST_CASE("an importable key has a secret and no other kind has, and sealed data is no key") {
    const auto secret = element(0xA2, octet_string(unhex("0003 010203")));
    CHECK_THAT(complaint_with(secret), contains("a secret in a key that is not importable"));
    auto parts = parts_of_a_key();
    parts.type = importable;
    CHECK_THAT(der_complaint(parts.together()), contains("without the secret"));
    auto not_sealed = parts_of_a_key();
    not_sealed.type = sealed;
    CHECK_THAT(der_complaint(not_sealed.together()), contains("sealed data that is of type ECC"));
    parts.optional = secret;
    CHECK(der_complaint(parts.together()).empty());
    for (const auto* digits : {"", "00", "0000", "0003 0102", "0003 01020304", "0200"}) {
        parts.optional = element(0xA2, octet_string(unhex(digits)));
        CHECK_THAT(der_complaint(parts.together()), contains("secret: "));
    }
    parts.optional = element(0xA2, octet_string(unhex("2000") + Bytes(0x2000)));
    CHECK_THAT(der_complaint(parts.together()), contains("secret: a TPM2B_ENCRYPTED_SECRET of 8194 bytes"));
}

TEST_CASE("a file that is not DER is refused") {
    auto parts = parts_of_a_key();
    const auto content = parts.type + parts.optional + parts.parent + parts.pubkey + parts.privkey;
    CHECK_THAT(der_complaint({}), contains("the data ends where SEQUENCE belongs"));
    CHECK_THAT(der_complaint(unhex("30 80") + content + unhex("00 00")), contains("indefinite"));
    CHECK_THAT(der_complaint(unhex("30 82 00") + Bytes{static_cast<std::uint8_t>(content.size())} + content),
               contains("shortest form"));
    CHECK_THAT(der_complaint(element(0x31, content)), contains("tag 0x31 where SEQUENCE belongs"));
    parts.optional = element(0xA0, unhex("0101"));
    CHECK_THAT(der_complaint(parts.together()), contains("emptyAuth: the data ends within BOOLEAN"));
}

TEST_CASE("no single wrong byte crashes the reader, and what it takes it writes as it was") {
    const auto der = data_file("keyfile/openssl-ec-p256.der");
    std::size_t taken = 0;
    for (std::size_t at = 0; at < der.size(); ++at)
        for (const unsigned flip : {0x01U, 0x80U, 0xFFU}) {
            auto wrong = der;
            wrong[at] = static_cast<std::uint8_t>(wrong[at] ^ flip);
            if (refusal(keyfile::parse_der, wrong))
                continue;
            ++taken;
            const auto key = keyfile::parse_der(wrong);
            CHECK(keyfile_test::same(keyfile::parse_der(keyfile::to_der(key)), key));
        }
    CHECK(taken > der.size()); // coordinates and the private area may be anything
}
