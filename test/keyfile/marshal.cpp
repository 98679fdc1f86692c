// SPDX-License-Identifier: MIT
#include "keyfile/marshal.hpp"

#include "base/error.hpp"
#include "parts.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>

using namespace sshtpm;
using namespace support;
using keyfile::marshal_private;
using keyfile::marshal_public;
using keyfile::unmarshal_private;
using keyfile::unmarshal_public;
using keyfile_test::key_from;

namespace {

/// What unmarshal_public says of a vector's public area after a change: "" when it takes it.
std::string complaint_after(const char* vector, const std::function<void(TPMT_PUBLIC&)>& change) {
    auto area = key_from(vector).public_area;
    change(area);
    return complaint([&] { unmarshal_public(marshal_public(area)); });
}

const auto* const ecc_file = "openssl-ec-p256.tpm";
const auto* const rsa_file = "openssl-rsa-2048.tpm";

} // namespace

TEST_CASE("a size field that lies is refused") {
    const auto good = marshal_public(key_from(ecc_file).public_area);
    CHECK_NOTHROW(unmarshal_public(good));
    auto longer = good;
    longer.push_back(0);
    CHECK_THROWS_WITH(unmarshal_public(longer), "the size field says 86 bytes, there are 87");
    auto lying = longer;
    ++lying[1];
    CHECK_THROWS_WITH(unmarshal_public(lying), "bytes behind the TPMT_PUBLIC (1)");
    lying = good;
    --lying[1];
    CHECK_THROWS_WITH(unmarshal_public(lying), "the size field says 85 bytes, there are 86");
    lying[0] = 0xFF;
    CHECK_THROWS_WITH(unmarshal_public(lying), contains("the size field says"));
}

TEST_CASE("every prefix of a public area is refused, with its size field right too") {
    const auto good = marshal_public(key_from(rsa_file).public_area);
    CHECK(accepted_prefixes(good, unmarshal_public).empty());
    const auto inner = ByteView(good).subspan(2);
    const auto with_its_size = [](ByteView prefix) {
        Bytes tpm2b{static_cast<std::uint8_t>(prefix.size() >> 8U),
                    static_cast<std::uint8_t>(prefix.size() & 0xFFU)};
        append(tpm2b, prefix);
        return unmarshal_public(tpm2b);
    };
    CHECK(accepted_prefixes(inner, with_its_size).empty());
    CHECK_NOTHROW(with_its_size(inner));
}

TEST_CASE("numbers that tss2-mu lets pass are refused") {
    struct Row {
        std::function<void(TPMT_PUBLIC&)> change;
        const char* words;
    };
    const Row rows[] = {
        {[](auto& area) { area.nameAlg = TPM2_ALG_NULL; }, "nameAlg is NULL"},
        {[](auto& area) { area.nameAlg = 0x7777; }, "nameAlg is 0x7777"},
        {[](auto& area) { area.type = TPM2_ALG_NULL; }, "object type NULL"},
        {[](auto& area) { area.authPolicy.size = 31; }, "authPolicy of 31 bytes"},
        {[](auto& area) { area.authPolicy.size = 48; }, "nameAlg SHA-256"},
    };
    for (const auto& row : rows)
        CHECK_THAT(complaint_after(ecc_file, row.change), contains(row.words));
    for (const TPMA_OBJECT reserved : {0x00000001U, 0x00000008U, 0x00001000U, 0x00100000U, 0x80000000U})
        CHECK_THAT(complaint_after(ecc_file, [&](auto& area) { area.objectAttributes |= reserved; }),
                   contains("reserved attributes"));
    CHECK(complaint_after(ecc_file, [](auto&) {}).empty());
    CHECK(complaint_after(ecc_file, [](auto& area) { area.authPolicy.size = 32; }).empty());
}

TEST_CASE("curves, schemes and ciphers that are not of the specification are refused") {
    struct Row {
        std::function<void(TPMS_ECC_PARMS&)> change;
        const char* words;
    };
    static constexpr TPMT_ECC_SCHEME ecdsa_with_aes = {TPM2_ALG_ECDSA, {.ecdsa = {TPM2_ALG_AES}}};
    static constexpr TPMT_KDF_SCHEME kdf_without_hash = {TPM2_ALG_KDF1_SP800_108, {.mgf1 = {0}}};
    static constexpr TPMT_SYM_DEF_OBJECT aes129 = {TPM2_ALG_AES, {129}, {TPM2_ALG_CFB}};
    static constexpr TPMT_SYM_DEF_OBJECT aes_in_mode_rsa = {TPM2_ALG_AES, {128}, {TPM2_ALG_RSA}};
    const Row rows[] = {
        {[](auto& ecc) { ecc.curveID = 0x7777; }, "unknown curve 0x7777"},
        {[](auto& ecc) { ecc.curveID = TPM2_ECC_NONE; }, "curve 0x0000"},
        {[](auto& ecc) { ecc.scheme.scheme = TPM2_ALG_RSASSA; }, "unknown scheme RSASSA"},
        {[](auto& ecc) { ecc.scheme = ecdsa_with_aes; }, "the hash of the scheme is AES"},
        {[](auto& ecc) { ecc.kdf = kdf_without_hash; }, "the hash of the KDF is 0x0000"},
        {[](auto& ecc) { ecc.symmetric.algorithm = TPM2_ALG_XOR; }, "unknown symmetric algorithm XOR"},
        {[](auto& ecc) { ecc.symmetric = aes129; }, "symmetric key of 129 bits"},
        {[](auto& ecc) { ecc.symmetric = aes_in_mode_rsa; }, "unknown symmetric mode RSA"},
    };
    for (const auto& row : rows)
        CHECK_THAT(complaint_after(ecc_file, [&](auto& area) { row.change(area.parameters.eccDetail); }),
                   contains(row.words));
    CHECK_THAT(complaint_after(rsa_file,
                               [](auto& area) { area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_ECDSA; }),
               contains("unknown scheme ECDSA"));
    CHECK_THAT(
        complaint_after("tools-hmac.tpm",
                        [](auto& area) { area.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = 0; }),
        contains("the hash of the scheme is 0x0000"));
}

TEST_CASE("a public area is refused, or written with the same bytes") {
    const std::string name =
        GENERATE("openssl-ec-p256.tpm", "openssl-rsa-2048.tpm", "tools-rsa-2048-rsapss.tpm", "tools-hmac.tpm",
                 "tools-aes.tpm", "tools-storage.tpm");
    const auto good = marshal_public(key_from(name).public_area);
    const auto places = std::min<std::size_t>(good.size(), 64); // behind them are bytes of numbers
    std::size_t accepted = 0, different = 0;
    for (std::size_t place = 0; place < places; ++place)
        for (unsigned value = 0; value < 256; ++value) {
            auto changed = good;
            changed[place] = static_cast<std::uint8_t>(value);
            if (refusal(unmarshal_public, changed))
                continue;
            ++accepted;
            different += marshal_public(unmarshal_public(changed)) == changed ? 0 : 1;
        }
    CHECK(accepted > places); // each with the value that it had, at least
    CHECK(different == 0);
}

TEST_CASE("a public area that no TPM2B holds is not written") {
    auto area = key_from(ecc_file).public_area;
    area.unique.ecc.x.size = 0xFFFF;
    CHECK(refusal([&] { marshal_public(area); }) == Errc::malformed);
}

TEST_CASE("private areas are read when they fill their TPM2B and fit") {
    const auto area = key_from(ecc_file).private_area;
    CHECK(area.size == 126);
    const auto good = marshal_private(area);
    CHECK(marshal_private(unmarshal_private(good)) == good);
    CHECK(accepted_prefixes(good, unmarshal_private).empty());
    CHECK_THROWS_WITH(unmarshal_private(Bytes{0, 0}), "an empty TPM2B");
    auto longer = good;
    longer.push_back(0);
    CHECK_THROWS_WITH(unmarshal_private(longer), "the size field says 126 bytes, there are 127");
}

TEST_CASE("a private area beyond what a TPM takes is refused") {
    constexpr std::size_t most = sizeof(TPM2B_PRIVATE::buffer);
    const auto of_size = [](std::size_t size) {
        Bytes tpm2b(size + 2);
        tpm2b[0] = static_cast<std::uint8_t>(size >> 8U);
        tpm2b[1] = static_cast<std::uint8_t>(size & 0xFFU);
        return unmarshal_private(tpm2b);
    };
    CHECK(of_size(most).size == most);
    CHECK_THROWS_WITH(of_size(most + 1), contains("a TPM2B_PRIVATE of"));
    CHECK_THROWS_WITH(of_size(0xFFFF), contains("a TPM2B_PRIVATE of 65535 bytes"));
    TPM2B_PRIVATE lying{};
    lying.size = 0xFFFF;
    CHECK(refusal([&] { marshal_private(lying); }) == Errc::malformed);
}
