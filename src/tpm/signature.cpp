// SPDX-License-Identifier: MIT
#include "tpm/signature.hpp"

#include "base/error.hpp"
#include "keyfile/names.hpp"
#include "tpm/lockout.hpp"
#include "tpm/rc.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace sshtpm::tpm {

namespace {

bool signs_by_decryption(const TPMT_PUBLIC& key) {
    return key.type == TPM2_ALG_RSA && (key.objectAttributes & TPMA_OBJECT_DECRYPT) != 0 &&
           key.parameters.rsaDetail.scheme.scheme == TPM2_ALG_NULL;
}

/// The DER of a DigestInfo (RFC 8017, 9.2, note 1).
Bytes digest_info(TPMI_ALG_HASH hash, ByteView digest) {
    // The last number of the hash's object identifier, 2.16.840.1.101.3.4.2.x.
    const std::uint8_t x = hash == TPM2_ALG_SHA256 ? 1 : hash == TPM2_ALG_SHA384 ? 2 : 3;
    const auto size = static_cast<std::uint8_t>(digest.size());
    Bytes out{0x30, static_cast<std::uint8_t>(17 + size),
              0x30, 0x0D,
              0x06, 0x09,
              0x60, 0x86,
              0x48, 0x01,
              0x65, 0x03,
              0x04, 0x02,
              x,    0x05,
              0x00, 0x04,
              size};
    append(out, digest);
    return out;
}

/// EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01, bytes of FF, 00, DigestInfo.
/// @param width of the modulus in bytes, 256 or more
TPM2B_PUBLIC_KEY_RSA padded(ByteView info, UINT16 width) {
    TPM2B_PUBLIC_KEY_RSA out{};
    out.size = width;
    out.buffer[1] = 0x01;
    auto* const end = out.buffer + width;
    std::fill(out.buffer + 2, end - info.size() - 1, BYTE{0xFF});
    std::ranges::copy(info, end - info.size());
    return out;
}

/// The private operation on the padded digest makes the signature (RFC 8017, 8.2.1). Under the scheme
/// TPM_ALG_NULL, TPM2_RSA_Decrypt is this operation (TPM 2.0 Part 3, 14.3).
std::optional<TPMT_SIGNATURE> sign_by_decryption(const Context& context, ESYS_TR object,
                                                 const TPMT_PUBLIC& key, ESYS_TR session, ByteView info) {
    const auto message = padded(info, key.unique.rsa.size);
    const TPMT_RSA_DECRYPT no_scheme{.scheme = TPM2_ALG_NULL, .details = {}};
    const TPM2B_DATA no_label{};
    TPM2B_PUBLIC_KEY_RSA* number = nullptr;
    const auto rc = Esys_RSA_Decrypt(context.esys(), object, session, ESYS_TR_NONE, ESYS_TR_NONE, &message,
                                     &no_scheme, &no_label, &number);
    const EsysOutput<TPM2B_PUBLIC_KEY_RSA> owner(number);
    if (!auth_was_accepted(context, "Esys_RSA_Decrypt", rc))
        return std::nullopt;
    TPMT_SIGNATURE signature{};
    signature.sigAlg = TPM2_ALG_RSASSA;
    signature.signature.rsassa.hash = TPM2_ALG_NULL;
    signature.signature.rsassa.sig = *owner; // perhaps without its leading zeros, as the number it is
    return signature;
}

/// True for the codes with which TPM2_Sign refuses a hash that the TPM lacks: TPM_RC_HASH in the scheme, or
/// TPM_RC_SIZE for a digest that is longer than any of its own (TPM 2.0 Part 2, 10.4.2). Every TPM has
/// SHA-256.
bool is_missing(TPMI_ALG_HASH hash, TSS2_RC rc) {
    constexpr unsigned digest = 1; // the parameter of TPM2_Sign (Part 3, 20.2)
    const auto code = base_code(rc);
    return hash != TPM2_ALG_SHA256 &&
           (code == TPM2_RC_HASH || (code == TPM2_RC_SIZE && is_about_parameter(rc, digest)));
}

Error missing_hash(const TPMT_PUBLIC& key, TPMI_ALG_HASH hash) {
    const auto missing = "this TPM does not have the hash " + keyfile::algorithm_name(hash);
    if (key.type == TPM2_ALG_ECC)
        return {Errc::unsupported,
                missing + ", which keys on " + keyfile::curve_name(key.parameters.eccDetail.curveID) +
                    " sign with",
                "make a key of another size: `ssh-tpm keygen --supported` lists them"};
    return {Errc::unsupported, missing + ", and without it this RSA key signs rsa-sha2-256 alone",
            "make or import the key again: RSA keys get the attribute decrypt on this TPM, and sign with "
            "both; until then, set PubkeyAcceptedAlgorithms or HostKeyAlgorithms to rsa-sha2-256"};
}

std::optional<TPMT_SIGNATURE> sign_by_command(const Context& context, ESYS_TR object, const TPMT_PUBLIC& key,
                                              ESYS_TR session, TPMI_ALG_HASH hash, ByteView digest) {
    const auto tpm_digest = tpm2b_of<TPM2B_DIGEST>(digest);
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = key.type == TPM2_ALG_ECC ? TPM2_ALG_ECDSA : TPM2_ALG_RSASSA;
    scheme.details.any.hashAlg = hash;
    // An empty ticket, for a digest that the TPM has not made: keys that are not restricted also sign such
    // digests.
    const TPMT_TK_HASHCHECK no_ticket{.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL, .digest = {}};
    TPMT_SIGNATURE* signature = nullptr;
    const auto rc = Esys_Sign(context.esys(), object, session, ESYS_TR_NONE, ESYS_TR_NONE, &tpm_digest,
                              &scheme, &no_ticket, &signature);
    const EsysOutput<TPMT_SIGNATURE> owner(signature);
    if (is_missing(hash, rc))
        throw missing_hash(key, hash);
    if (!auth_was_accepted(context, "Esys_Sign", rc))
        return std::nullopt;
    return *owner;
}

} // namespace

std::optional<TPMT_SIGNATURE> sign_digest(const Context& context, ESYS_TR object, const TPMT_PUBLIC& key,
                                          ESYS_TR session, TPMI_ALG_HASH hash, ByteView digest) {
    if (signs_by_decryption(key))
        return sign_by_decryption(context, object, key, session, digest_info(hash, digest));
    return sign_by_command(context, object, key, session, hash, digest);
}

} // namespace sshtpm::tpm
