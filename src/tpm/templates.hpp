#pragma once
// Public area templates: the storage keys that key files hang under, and the keys this program makes.

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

/// What kind of signing key: an ECC curve, or RSA with a size in bits.
struct KeyAlgorithm {
    TPMI_ALG_PUBLIC type = TPM2_ALG_ECC;
    TPMI_ECC_CURVE curve = TPM2_ECC_NIST_P256; ///< for TPM2_ALG_ECC
    TPMI_RSA_KEY_BITS bits = 0;                ///< for TPM2_ALG_RSA

    friend bool operator==(const KeyAlgorithm&, const KeyAlgorithm&) = default;
};

/// The ECC P-256 storage key of the TCG ("TCG TPM v2.0 Provisioning Guidance", SRK), unique field empty: the
/// parent of every key file that names a hierarchy.
TPM2B_PUBLIC ecc_storage_key();
/// The same with RSA 2048; for key files with rsaParent.
TPM2B_PUBLIC rsa_storage_key();

/// The storage keys of ssh-tpm-agent 0.1 and 0.2: the same templates, the unique fields filled with zero
/// bytes.
TPM2B_PUBLIC legacy_ecc_storage_key();
TPM2B_PUBLIC legacy_rsa_storage_key();

/// True when an object was made from this template: all fields but the unique one are the same.
bool made_from(const TPMT_PUBLIC& object, const TPMT_PUBLIC& storage_key);

enum class DictionaryAttack { exempt, guarded };

/// A sign-only key. Keys without a PIN are exempt from dictionary-attack protection (noDA): otherwise
/// somebody's mistyped PINs would lock them out; keys with a PIN are guarded.
TPM2B_PUBLIC signing_key(const KeyAlgorithm& algorithm, DictionaryAttack dictionary_attack);

/// The template of the keys that TPM2_CreatePrimary makes from a hierarchy's seed, with an empty inSensitive.
/// The key depends on every byte of it: changed, it would change the host keys of everybody who has them from
/// here. In the TCG's names: nameAlg TPM_ALG_SHA256; objectAttributes fixedTPM, fixedParent,
/// sensitiveDataOrigin, userWithAuth, noDA, sign (0x00040472); authPolicy empty; symmetric and scheme
/// TPM_ALG_NULL; for ECC the curve and kdf TPM_ALG_NULL; for RSA keyBits and exponent 0 (65537); unique
/// empty. Equal to tpm2_createprimary -G ecc256 (rsa2048) -g sha256
///     -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'.
TPM2B_PUBLIC hierarchy_key(const KeyAlgorithm& algorithm);

} // namespace sshtpm::tpm
