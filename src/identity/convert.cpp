// SPDX-License-Identifier: MIT
#include "identity/convert.hpp"

#include "base/error.hpp"
#include "tpm/context.hpp"

#include <array>
#include <cstdint>

namespace sshtpm::identity {

namespace {

ssh::KeyType key_type(TPMI_ECC_CURVE curve) {
    switch (curve) {
    case TPM2_ECC_NIST_P256:
        return ssh::KeyType::ecdsa_p256;
    case TPM2_ECC_NIST_P384:
        return ssh::KeyType::ecdsa_p384;
    case TPM2_ECC_NIST_P521:
        return ssh::KeyType::ecdsa_p521;
    default:
        throw Error(Errc::unsupported, "an elliptic curve that SSH does not have");
    }
}

constexpr std::array<std::uint8_t, 3> default_exponent{0x01, 0x00, 0x01}; // TPMS_RSA_PARMS has 0 for it

Bytes exponent(UINT32 value) {
    if (value == 0)
        return copy_of(default_exponent);
    const Bytes bytes{static_cast<std::uint8_t>(value >> 24U), static_cast<std::uint8_t>(value >> 16U),
                      static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
    return copy_of(without_leading_zeros(bytes));
}

} // namespace

ssh::PublicKey to_public_key(const TPMT_PUBLIC& area) {
    if (area.type == TPM2_ALG_ECC)
        return ssh::PublicKey::ecdsa(key_type(area.parameters.eccDetail.curveID),
                                     tpm::view_of(area.unique.ecc.x), tpm::view_of(area.unique.ecc.y));
    if (area.type == TPM2_ALG_RSA)
        return ssh::PublicKey::rsa(tpm::view_of(area.unique.rsa),
                                   exponent(area.parameters.rsaDetail.exponent));
    throw Error(Errc::unsupported, "a key that is neither RSA nor elliptic curve");
}

tpm::KeyAlgorithm to_algorithm(const ssh::PublicKey& key) {
    switch (key.type()) {
    case ssh::KeyType::ecdsa_p256:
        return {TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0};
    case ssh::KeyType::ecdsa_p384:
        return {TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0};
    case ssh::KeyType::ecdsa_p521:
        return {TPM2_ALG_ECC, TPM2_ECC_NIST_P521, 0};
    case ssh::KeyType::rsa:
        break;
    }
    return {TPM2_ALG_RSA, 0, static_cast<TPMI_RSA_KEY_BITS>(key.bits())};
}

TPMT_PUBLIC to_public_area(const ssh::PublicKey& key, tpm::DictionaryAttack dictionary_attack,
                           tpm::RsaUse rsa_use) {
    auto area = tpm::signing_key(to_algorithm(key), dictionary_attack, rsa_use).publicArea;
    area.objectAttributes &=
        ~(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN);
    if (const auto* point = std::get_if<ssh::EcdsaPoint>(&key.numbers())) {
        area.unique.ecc.x = tpm::tpm2b_of<TPM2B_ECC_PARAMETER>(point->x);
        area.unique.ecc.y = tpm::tpm2b_of<TPM2B_ECC_PARAMETER>(point->y);
    } else {
        const auto& numbers = std::get<ssh::RsaNumbers>(key.numbers());
        area.unique.rsa = tpm::tpm2b_of<TPM2B_PUBLIC_KEY_RSA>(numbers.n);
        if (!equal(numbers.e, default_exponent)) // require_signing_key accepts no other exponent
            throw Error(Errc::unsupported, "an RSA key whose public exponent is not 65537");
    }
    return area;
}

ssh::RawSignature to_signature(const TPMT_SIGNATURE& signature) {
    if (signature.sigAlg == TPM2_ALG_ECDSA)
        return ssh::EcdsaSignature{.r = copy_of(tpm::view_of(signature.signature.ecdsa.signatureR)),
                                   .s = copy_of(tpm::view_of(signature.signature.ecdsa.signatureS))};
    if (signature.sigAlg == TPM2_ALG_RSASSA)
        return ssh::RsaSignature{.s = copy_of(tpm::view_of(signature.signature.rsassa.sig))};
    throw Error(Errc::malformed, "the TPM answered with a signature of another kind than asked for");
}

TPMI_ALG_HASH to_tpm(ssh::Hash hash) {
    switch (hash) {
    case ssh::Hash::sha256:
        return TPM2_ALG_SHA256;
    case ssh::Hash::sha384:
        return TPM2_ALG_SHA384;
    case ssh::Hash::sha512:
        break;
    }
    return TPM2_ALG_SHA512;
}

} // namespace sshtpm::identity
