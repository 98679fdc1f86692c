// SPDX-License-Identifier: MIT
#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace sshtpm::keyfile {

namespace {

template <class Number>
struct Name {
    Number number;
    std::string_view text;
};

constexpr std::array<Name<TPM2_ALG_ID>, 28> algorithms{{
    {TPM2_ALG_RSA, "RSA"},
    {TPM2_ALG_SHA1, "SHA-1"},
    {TPM2_ALG_HMAC, "HMAC"},
    {TPM2_ALG_AES, "AES"},
    {TPM2_ALG_KEYEDHASH, "KEYEDHASH"},
    {TPM2_ALG_XOR, "XOR"},
    {TPM2_ALG_SHA256, "SHA-256"},
    {TPM2_ALG_SHA384, "SHA-384"},
    {TPM2_ALG_SHA512, "SHA-512"},
    {TPM2_ALG_NULL, "NULL"},
    {TPM2_ALG_SM3_256, "SM3-256"},
    {TPM2_ALG_SM4, "SM4"},
    {TPM2_ALG_RSASSA, "RSASSA"},
    {TPM2_ALG_RSAES, "RSAES"},
    {TPM2_ALG_RSAPSS, "RSAPSS"},
    {TPM2_ALG_OAEP, "OAEP"},
    {TPM2_ALG_ECDSA, "ECDSA"},
    {TPM2_ALG_ECDH, "ECDH"},
    {TPM2_ALG_ECDAA, "ECDAA"},
    {TPM2_ALG_SM2, "SM2"},
    {TPM2_ALG_ECSCHNORR, "ECSCHNORR"},
    {TPM2_ALG_ECMQV, "ECMQV"},
    {TPM2_ALG_ECC, "ECC"},
    {TPM2_ALG_SYMCIPHER, "SYMCIPHER"},
    {TPM2_ALG_CAMELLIA, "CAMELLIA"},
    {TPM2_ALG_SHA3_256, "SHA3-256"},
    {TPM2_ALG_SHA3_384, "SHA3-384"},
    {TPM2_ALG_SHA3_512, "SHA3-512"},
}};

constexpr std::array<Name<TPM2_ECC_CURVE>, 8> curves{{
    {TPM2_ECC_NIST_P192, "NIST P-192"},
    {TPM2_ECC_NIST_P224, "NIST P-224"},
    {TPM2_ECC_NIST_P256, "NIST P-256"},
    {TPM2_ECC_NIST_P384, "NIST P-384"},
    {TPM2_ECC_NIST_P521, "NIST P-521"},
    {TPM2_ECC_BN_P256, "BN P-256"},
    {TPM2_ECC_BN_P638, "BN P-638"},
    {TPM2_ECC_SM2_P256, "SM2 P-256"},
}};

constexpr std::array<Name<TPM2_CC>, 19> policy_commands{{
    {TPM2_CC_PolicyNV, "TPM2_PolicyNV"},
    {TPM2_CC_PolicySecret, "TPM2_PolicySecret"},
    {TPM2_CC_PolicySigned, "TPM2_PolicySigned"},
    {TPM2_CC_PolicyAuthorize, "TPM2_PolicyAuthorize"},
    {TPM2_CC_PolicyAuthValue, "TPM2_PolicyAuthValue"},
    {TPM2_CC_PolicyCommandCode, "TPM2_PolicyCommandCode"},
    {TPM2_CC_PolicyCounterTimer, "TPM2_PolicyCounterTimer"},
    {TPM2_CC_PolicyCpHash, "TPM2_PolicyCpHash"},
    {TPM2_CC_PolicyLocality, "TPM2_PolicyLocality"},
    {TPM2_CC_PolicyNameHash, "TPM2_PolicyNameHash"},
    {TPM2_CC_PolicyOR, "TPM2_PolicyOR"},
    {TPM2_CC_PolicyTicket, "TPM2_PolicyTicket"},
    {TPM2_CC_PolicyPCR, "TPM2_PolicyPCR"},
    {TPM2_CC_PolicyPhysicalPresence, "TPM2_PolicyPhysicalPresence"},
    {TPM2_CC_PolicyDuplicationSelect, "TPM2_PolicyDuplicationSelect"},
    {TPM2_CC_PolicyPassword, "TPM2_PolicyPassword"},
    {TPM2_CC_PolicyNvWritten, "TPM2_PolicyNvWritten"},
    {TPM2_CC_PolicyTemplate, "TPM2_PolicyTemplate"},
    {TPM2_CC_PolicyAuthorizeNV, "TPM2_PolicyAuthorizeNV"},
}};

std::string hexadecimal(std::uint32_t number, unsigned digits) {
    std::string text = "0x";
    while (digits-- > 0)
        text += "0123456789abcdef"[number >> digits * 4U & 0xFU];
    return text;
}

template <class Number, std::size_t Size>
std::string find(const std::array<Name<Number>, Size>& names, Number number, const std::string& otherwise) {
    const auto found = std::ranges::find(names, number, &Name<Number>::number);
    return found == names.end() ? otherwise : std::string(found->text);
}

} // namespace

std::string algorithm_name(TPM2_ALG_ID algorithm) {
    return find(algorithms, algorithm, hexadecimal(algorithm, 4));
}

std::string curve_name(TPM2_ECC_CURVE curve) {
    return find(curves, curve, hexadecimal(curve, 4));
}

std::string policy_command_name(TPM2_CC command) {
    return find(policy_commands, command, "command " + hexadecimal(command, 8));
}

std::string handle_name(TPM2_HANDLE handle) {
    return hexadecimal(handle, 8);
}

} // namespace sshtpm::keyfile
