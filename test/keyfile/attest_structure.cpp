// SPDX-License-Identifier: MIT
#include "keyfile/attest_structure.hpp"

#include "base/error.hpp"
#include "support/test.hpp"

#include <cstdint>
#include <functional>

using namespace sshtpm;
using namespace support;
using keyfile::marshal_attest;
using keyfile::marshal_signature;
using keyfile::unmarshal_attest;
using keyfile::unmarshal_signature;

namespace {

Bytes attestation(const std::string& name) {
    return data_file("keyfile/attestations/" + name);
}

/// What unmarshal_attest says of a vector after a change: "" when it takes it.
std::string attest_complaint(const char* vector, const std::function<void(TPMS_ATTEST&)>& change) {
    auto attest = unmarshal_attest(attestation(vector));
    change(attest);
    return complaint([&] { unmarshal_attest(marshal_attest(attest)); });
}

/// The same of unmarshal_signature.
std::string signature_complaint(const char* vector, const std::function<void(TPMT_SIGNATURE&)>& change) {
    auto signature = unmarshal_signature(attestation(vector));
    change(signature);
    return complaint([&] { unmarshal_signature(marshal_signature(signature)); });
}

const auto* const certify_file = "ecc-certify.attest";
const auto* const quote_file = "ecc-quote.attest";

} // namespace

TEST_CASE("attestations of a TPM are read, and written as they were") {
    const std::string name = GENERATE("ecc-certify", "ecc-quote", "rsa-certify", "rsa-quote");
    const auto attest = attestation(name + ".attest"), signature = attestation(name + ".sig");
    CHECK(marshal_attest(unmarshal_attest(attest)) == attest);
    CHECK(marshal_signature(unmarshal_signature(signature)) == signature);
    CHECK(accepted_prefixes(attest, unmarshal_attest).empty());
    CHECK(accepted_prefixes(signature, unmarshal_signature).empty());
}

TEST_CASE("an attestation says what tpm2-tools was asked for") {
    const auto certify = unmarshal_attest(attestation("rsa-certify.attest"));
    CHECK(certify.type == TPM2_ST_ATTEST_CERTIFY);
    CHECK(certify.attested.certify.name.size == 34);
    const auto quote = unmarshal_attest(attestation("rsa-quote.attest"));
    CHECK(quote.type == TPM2_ST_ATTEST_QUOTE);
    CHECK(hex({quote.extraData.buffer, quote.extraData.size}) == "00112233");
    const auto& selection = quote.attested.quote.pcrSelect;
    REQUIRE(selection.count == 2);
    CHECK(selection.pcrSelections[0].hash == TPM2_ALG_SHA256);
    CHECK(hex({selection.pcrSelections[0].pcrSelect, selection.pcrSelections[0].sizeofSelect}) == "830080");
    CHECK(selection.pcrSelections[1].hash == TPM2_ALG_SHA384);
    CHECK(unmarshal_signature(attestation("rsa-quote.sig")).signature.rsassa.sig.size == 256);
    CHECK(unmarshal_signature(attestation("ecc-quote.sig")).signature.ecdsa.signatureR.size == 32);
}

TEST_CASE("bytes behind an attestation or a signature are refused") {
    auto attest = attestation(certify_file), signature = attestation("rsa-certify.sig");
    attest.push_back(0);
    signature.push_back(0);
    CHECK_THROWS_WITH(unmarshal_attest(attest), "bytes behind the TPMS_ATTEST (1)");
    CHECK_THROWS_WITH(unmarshal_signature(signature), "bytes behind the TPMT_SIGNATURE (1)");
}

TEST_CASE("an attestation of anything but a key or PCRs is refused") {
    CHECK(refusal(unmarshal_attest, attestation("ecc-time.attest")) == Errc::unsupported);
    auto attest = attestation(quote_file);
    attest[5] = TPM2_ST_ATTEST_CERTIFY & 0xFFU;
    CHECK(refusal(unmarshal_attest, attest) == Errc::malformed);
    attest[5] = 0x7F;
    CHECK(refusal(unmarshal_attest, attest).has_value());
    attest = attestation(certify_file);
    attest[5] = TPM2_ST_ATTEST_QUOTE & 0xFFU;
    CHECK(refusal(unmarshal_attest, attest) == Errc::malformed);
}

TEST_CASE("numbers in an attestation that tss2-mu lets pass are refused") {
    struct Row {
        const char* vector;
        std::function<void(TPMS_ATTEST&)> change;
        const char* words;
    };
    const Row rows[] = {
        {certify_file, [](auto& attest) { attest.magic ^= 1U; }, "without the magic number"},
        {certify_file, [](auto& attest) { attest.clockInfo.safe = 2; }, "neither safe nor unsafe"},
        {certify_file, [](auto& attest) { attest.qualifiedSigner.size = 0; }, "its qualifiedSigner"},
        {certify_file, [](auto& attest) { attest.qualifiedSigner.name[1] = TPM2_ALG_SHA384; },
         "its qualifiedSigner"},
        {certify_file, [](auto& attest) { --attest.attested.certify.name.size; }, "its name"},
        {certify_file, [](auto& attest) { attest.attested.certify.name.name[0] = 0x77; }, "its name"},
        {certify_file, [](auto& attest) { attest.attested.certify.qualifiedName.size = 4; },
         "its qualifiedName"},
        {quote_file, [](auto& attest) { attest.qualifiedSigner.name[1] = TPM2_ALG_AES; },
         "its qualifiedSigner"},
        {quote_file, [](auto& attest) { attest.attested.quote.pcrSelect.pcrSelections[1].hash = 0x7777; },
         "PCRs of 0x7777"},
        {quote_file,
         [](auto& attest) { attest.attested.quote.pcrSelect.pcrSelections[0].hash = TPM2_ALG_AES; },
         "PCRs of AES"},
        {quote_file, [](auto& attest) { attest.attested.quote.pcrDigest.size = 0; }, "a digest of 0 bytes"},
        {quote_file, [](auto& attest) { attest.attested.quote.pcrDigest.size = 31; }, "a digest of 31 bytes"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.words);
        CHECK_THAT(attest_complaint(row.vector, row.change), contains(row.words));
        CHECK(attest_complaint(row.vector, [](auto&) {}).empty());
    }
}

TEST_CASE("a selection of more banks or PCRs than fit is refused") {
    constexpr std::size_t count_at = 73, select_size_at = count_at + 4 + 2; // in ecc-quote.attest
    auto attest = attestation(quote_file);
    REQUIRE(attest[count_at + 3] == 2);
    REQUIRE(attest[select_size_at] == 3);
    attest[select_size_at] = 5;
    CHECK(refusal(unmarshal_attest, attest) == Errc::malformed);
    attest = attestation(quote_file);
    attest[count_at + 3] = 17;
    const Bytes bank{0, TPM2_ALG_SHA256, 3, 0, 0, 0};
    for (int i = 2; i < 17; ++i)
        attest.insert(attest.begin() + count_at + 4, bank.begin(), bank.end());
    CHECK(refusal(unmarshal_attest, attest) == Errc::malformed);
    attest[count_at] = 0x80;
    CHECK(refusal(unmarshal_attest, attest) == Errc::malformed);
}

TEST_CASE("a signature is by ECDSA or RSASSA, and whole") {
    struct Row {
        const char* vector;
        std::function<void(TPMT_SIGNATURE&)> change;
        const char* words;
    };
    const Row rows[] = {
        {"ecc-certify.sig", [](auto& made) { made.sigAlg = TPM2_ALG_ECSCHNORR; }, "a signature by ECSCHNORR"},
        {"ecc-certify.sig", [](auto& made) { made.sigAlg = TPM2_ALG_NULL; }, "a signature by NULL"},
        {"rsa-certify.sig", [](auto& made) { made.sigAlg = TPM2_ALG_RSAPSS; }, "a signature by RSAPSS"},
        {"ecc-certify.sig", [](auto& made) { made.signature.any.hashAlg = 0x7777; }, "with 0x7777"},
        {"rsa-certify.sig", [](auto& made) { made.signature.any.hashAlg = TPM2_ALG_NULL; }, "with NULL"},
        {"ecc-certify.sig", [](auto& made) { made.signature.ecdsa.signatureR.size = 0; }, "an empty number"},
        {"ecc-certify.sig", [](auto& made) { made.signature.ecdsa.signatureS.size = 0; }, "an empty number"},
        {"rsa-certify.sig", [](auto& made) { made.signature.rsassa.sig.size = 0; }, "an empty number"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.words);
        CHECK_THAT(signature_complaint(row.vector, row.change), contains(row.words));
        CHECK(signature_complaint(row.vector, [](auto&) {}).empty());
    }
    auto unknown = attestation("ecc-certify.sig");
    unknown[0] = 0x77;
    CHECK(refusal(unmarshal_signature, unknown).has_value());
}

TEST_CASE("an attestation or a signature whose sizes lie is not written") {
    auto attest = unmarshal_attest(attestation(certify_file));
    attest.extraData.size = 0xFFFF;
    CHECK(refusal([&] { marshal_attest(attest); }) == Errc::malformed);
    auto signature = unmarshal_signature(attestation("rsa-certify.sig"));
    signature.signature.rsassa.sig.size = 0xFFFF;
    CHECK(refusal([&] { marshal_signature(signature); }) == Errc::malformed);
}
