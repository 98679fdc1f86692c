// SPDX-License-Identifier: MIT
#include "keyfile/marshal.hpp"

#include "base/error.hpp"
#include "keyfile/hashes.hpp"
#include "keyfile/names.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include <tss2/tss2_mu.h>

namespace sshtpm::keyfile {

namespace {

constexpr std::size_t size_field = 2; ///< of a TPM2B, in bytes

/// Part 2 section 8.3.2; bits 8 and 9 are firmwareLimited and svnLimited since revision 1.83.
constexpr TPMA_OBJECT known_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_STCLEAR | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_ADMINWITHPOLICY | 0x00000300 | TPMA_OBJECT_NODA |
    TPMA_OBJECT_ENCRYPTEDDUPLICATION | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
    TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_X509SIGN;

template <class Number>
bool is_one_of(Number number, std::initializer_list<Number> numbers) {
    return std::ranges::find(numbers, number) != numbers.end();
}

const Hash& require_hash(TPMI_ALG_HASH algorithm, const char* place) {
    const auto* const found = find_hash(algorithm);
    if (found == nullptr)
        malformed(std::string(place) + " is " + algorithm_name(algorithm) + ", not a hash");
    return *found;
}

void check_symmetric(const TPMT_SYM_DEF_OBJECT& symmetric) {
    if (symmetric.algorithm == TPM2_ALG_NULL)
        return;
    if (!is_one_of<TPM2_ALG_ID>(symmetric.algorithm, {TPM2_ALG_AES, TPM2_ALG_SM4, TPM2_ALG_CAMELLIA}))
        malformed("unknown symmetric algorithm " + algorithm_name(symmetric.algorithm));
    if (!is_one_of<UINT16>(symmetric.keyBits.sym, {128, 192, 256}))
        malformed("symmetric key of " + std::to_string(symmetric.keyBits.sym) + " bits");
    if (!is_one_of<TPM2_ALG_ID>(symmetric.mode.sym, {TPM2_ALG_NULL, TPM2_ALG_CTR, TPM2_ALG_OFB, TPM2_ALG_CBC,
                                                     TPM2_ALG_CFB, TPM2_ALG_ECB}))
        malformed("unknown symmetric mode " + algorithm_name(symmetric.mode.sym));
}

void check_scheme(TPM2_ALG_ID scheme, const TPMU_ASYM_SCHEME& details,
                  std::initializer_list<TPM2_ALG_ID> known) {
    if (scheme == TPM2_ALG_NULL)
        return;
    if (!is_one_of(scheme, known))
        malformed("unknown scheme " + algorithm_name(scheme));
    if (scheme != TPM2_ALG_RSAES) // the details of every other scheme begin with its hash
        require_hash(details.anySig.hashAlg, "the hash of the scheme");
}

void check_rsa(const TPMS_RSA_PARMS& rsa) {
    check_symmetric(rsa.symmetric);
    check_scheme(rsa.scheme.scheme, rsa.scheme.details,
                 {TPM2_ALG_RSASSA, TPM2_ALG_RSAPSS, TPM2_ALG_RSAES, TPM2_ALG_OAEP});
}

void check_ecc(const TPMS_ECC_PARMS& ecc) {
    check_symmetric(ecc.symmetric);
    check_scheme(
        ecc.scheme.scheme, ecc.scheme.details,
        {TPM2_ALG_ECDSA, TPM2_ALG_ECDH, TPM2_ALG_ECDAA, TPM2_ALG_SM2, TPM2_ALG_ECSCHNORR, TPM2_ALG_ECMQV});
    if (!is_one_of<TPM2_ECC_CURVE>(ecc.curveID, {TPM2_ECC_NIST_P192, TPM2_ECC_NIST_P224, TPM2_ECC_NIST_P256,
                                                 TPM2_ECC_NIST_P384, TPM2_ECC_NIST_P521, TPM2_ECC_BN_P256,
                                                 TPM2_ECC_BN_P638, TPM2_ECC_SM2_P256}))
        malformed("unknown curve " + curve_name(ecc.curveID));
    if (ecc.kdf.scheme != TPM2_ALG_NULL)
        require_hash(ecc.kdf.details.mgf1.hashAlg, "the hash of the KDF");
}

void check_keyed_hash(const TPMT_KEYEDHASH_SCHEME& keyed_hash) {
    if (keyed_hash.scheme == TPM2_ALG_HMAC)
        require_hash(keyed_hash.details.hmac.hashAlg, "the hash of the scheme");
    else if (keyed_hash.scheme == TPM2_ALG_XOR)
        require_hash(keyed_hash.details.exclusiveOr.hashAlg, "the hash of the scheme");
}

/// Checks the numbers in the area against the tables of the TPM 2.0 Library specification, part 2, sections
/// 8.3 and 12.2. The TPM itself checks whether they fit together.
void check_public_area(const TPMT_PUBLIC& area) {
    const auto name_hash = require_hash(area.nameAlg, "nameAlg");
    if ((area.objectAttributes & ~known_attributes) != 0)
        malformed("reserved attributes are set: " + handle_name(area.objectAttributes & ~known_attributes));
    if (area.authPolicy.size != 0 && area.authPolicy.size != name_hash.digest_size)
        malformed("an authPolicy of " + std::to_string(area.authPolicy.size) + " bytes with nameAlg " +
                  algorithm_name(area.nameAlg));
    switch (area.type) {
    case TPM2_ALG_RSA:
        return check_rsa(area.parameters.rsaDetail);
    case TPM2_ALG_ECC:
        return check_ecc(area.parameters.eccDetail);
    case TPM2_ALG_KEYEDHASH:
        return check_keyed_hash(area.parameters.keyedHashDetail.scheme);
    case TPM2_ALG_SYMCIPHER:
        return check_symmetric(area.parameters.symDetail.sym);
    default: // such as TPM2_ALG_NULL, which tss2-mu accepts
        malformed("unknown object type " + algorithm_name(area.type));
    }
}

} // namespace

Bytes tpm2b_around(ByteView content) {
    Bytes tpm2b{static_cast<std::uint8_t>(content.size() >> 8U),
                static_cast<std::uint8_t>(content.size() & 0xFFU)};
    append(tpm2b, content);
    return tpm2b;
}

ByteView content_of_tpm2b(ByteView tpm2b) {
    if (tpm2b.size() < size_field)
        malformed("too short for a TPM2B");
    const std::size_t size = static_cast<std::size_t>(tpm2b[0]) << 8U | tpm2b[1];
    const auto content = tpm2b.subspan(size_field);
    if (size != content.size())
        malformed("the size field says " + std::to_string(size) + " bytes, there are " +
                  std::to_string(content.size()));
    if (content.empty())
        malformed("an empty TPM2B");
    return content;
}

TPMT_PUBLIC unmarshal_public(ByteView tpm2b) {
    const auto content = content_of_tpm2b(tpm2b);
    TPMT_PUBLIC area{};
    std::size_t used = 0;
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(content.data(), content.size(), &used, &area) != TSS2_RC_SUCCESS)
        malformed("not a TPMT_PUBLIC");
    if (used != content.size())
        malformed("bytes behind the TPMT_PUBLIC (" + std::to_string(content.size() - used) + ")");
    check_public_area(area);
    return area;
}

Bytes marshal_public(const TPMT_PUBLIC& area) {
    Bytes content(sizeof area); // as large as the C struct, which has padding and full-size buffers
    std::size_t used = 0;
    if (Tss2_MU_TPMT_PUBLIC_Marshal(&area, content.data(), content.size(), &used) != TSS2_RC_SUCCESS)
        malformed("a TPMT_PUBLIC that cannot be marshalled");
    return tpm2b_around(ByteView(content).first(used));
}

TPM2B_PRIVATE unmarshal_private(ByteView tpm2b) {
    const auto content = content_of_tpm2b(tpm2b);
    if (content.size() > sizeof(TPM2B_PRIVATE::buffer))
        malformed("a TPM2B_PRIVATE of " + std::to_string(content.size()) + " bytes");
    return tpm2b_of<TPM2B_PRIVATE>(content);
}

Bytes marshal_private(const TPM2B_PRIVATE& area) {
    return tpm2b_around(view_of(area));
}

} // namespace sshtpm::keyfile
