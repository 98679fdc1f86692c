// SPDX-License-Identifier: MIT
#pragma once
// Public area templates: of the storage keys that are parents, and of the keys that this program makes.

#include <span>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// The algorithm of a signing key: an ECC curve, or RSA with a size in bits.
struct KeyAlgorithm {
    TPMI_ALG_PUBLIC type = TPM2_ALG_ECC;
    TPMI_ECC_CURVE curve = TPM2_ECC_NIST_P256; ///< for TPM2_ALG_ECC
    TPMI_RSA_KEY_BITS bits = 0;                ///< for TPM2_ALG_RSA

    friend bool operator==(const KeyAlgorithm&, const KeyAlgorithm&) = default;
};

/// The ECC P-256 storage key of the TCG ("TCG TPM v2.0 Provisioning Guidance", SRK), unique field empty: the
/// parent of every key file that names a hierarchy.
TPM2B_PUBLIC ecc_storage_key();
/// The RSA 2048 storage key of the TCG, for key files with rsaParent.
TPM2B_PUBLIC rsa_storage_key();

/// True if all fields except `unique` are those of the template.
bool made_from(const TPMT_PUBLIC& object, const TPMT_PUBLIC& storage_key);

enum class DictionaryAttack { exempt, guarded };

/// What an RSA key may do. With decrypt it signs on TPMs without SHA-512 too (sign_digest). ECC keys sign
/// only.
enum class RsaUse { sign, sign_and_decrypt };

/// The template of a signing key. Without a PIN it is exempt from dictionary-attack protection (noDA), so
/// that mistyped PINs of other keys do not lock it; with a PIN it is guarded.
TPM2B_PUBLIC signing_key(const KeyAlgorithm& algorithm, DictionaryAttack dictionary_attack,
                         RsaUse rsa_use = RsaUse::sign);

/// For the keys that TPM2_CreatePrimary makes from a hierarchy's seed, with an empty inSensitive. A key
/// depends on every byte of the template: to change one changes all users' host keys. It is that of
///     tpm2_createprimary -G ecc256 -g sha256
///         -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'
/// (-G rsa2048; 'noda|sign|decrypt' for RSA on a TPM without SHA-512): no policy, symmetric algorithm, scheme
/// or kdf, and `unique` empty.
TPM2B_PUBLIC hierarchy_key(const KeyAlgorithm& algorithm, RsaUse rsa_use = RsaUse::sign);

/// A kind of endorsement key ("TCG EK Credential Profile for TPM Family 2.0", B.3 and B.4).
struct EndorsementKey {
    TPM2_HANDLE certificate; ///< the NV index of its certificate
    KeyAlgorithm algorithm;
    bool has_password; ///< of zero bytes, which opens it; else TPM2_PolicySecret does
    TPM2B_PUBLIC key_template;
};

/// All kinds, ECC before RSA because a chip makes an ECC key in a fraction of the time; the last two of the
/// list, P-256 and RSA 2048 of the low range, are those for a TPM without certificate.
std::span<const EndorsementKey> endorsement_keys();

/// The kind from whose template the key was made; null for any other key, and for a public key that is not in
/// its full width: it would have another Name.
const EndorsementKey* endorsement_key_like(const TPMT_PUBLIC& area);

/// The attestation key of this program: a restricted signing key of the endorsement hierarchy, with ECDSA on
/// P-256 or RSASSA of 2048 bits, and SHA-256. It is the same after a power cycle and after TPM2_Clear,
/// because nothing in it is random: to change a byte changes the attestation keys of all machines. It is that
/// of
///     tpm2_createprimary -C e -G ecc256:ecdsa-sha256:null -g sha256 -u UNIQUE
///         -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda'
/// where `unique` has the SHA-256 of "ssh-tpm attestation key 1", as x alone or in place of the modulus.
/// @param type TPM2_ALG_ECC or TPM2_ALG_RSA
TPM2B_PUBLIC attestation_key(TPMI_ALG_PUBLIC type);

} // namespace sshtpm::tpm
