// SPDX-License-Identifier: MIT
#include "keyfile/usable.hpp"

#include "base/error.hpp"
#include "keyfile/names.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace sshtpm::keyfile {

namespace {

struct Curve {
    TPM2_ECC_CURVE id;
    std::size_t width;  ///< of a coordinate, in bytes
    TPMI_ALG_HASH hash; ///< of signatures with this curve
};

constexpr std::array<Curve, 3> signing_curves{{
    {TPM2_ECC_NIST_P256, 32, TPM2_ALG_SHA256},
    {TPM2_ECC_NIST_P384, 48, TPM2_ALG_SHA384},
    {TPM2_ECC_NIST_P521, 66, TPM2_ALG_SHA512},
}};

void require_loadable(KeyKind kind) {
    switch (kind) {
    case KeyKind::loadable:
    case KeyKind::primary:
        return;
    case KeyKind::importable:
        unsupported("a wrapped key, which the TPM has to import first", "`ssh-tpm keygen --import FILE`");
    case KeyKind::sealed:
        unsupported("sealed data, not a key");
    }
}

void require_asymmetric(TPMI_ALG_PUBLIC type) {
    if (type != TPM2_ALG_ECC && type != TPM2_ALG_RSA)
        unsupported("an object of type " + algorithm_name(type) + ", where SSH needs an ECC or RSA key");
}

const Curve& curve_of(TPM2_ECC_CURVE id) {
    const auto* const curve = std::ranges::find(signing_curves, id, &Curve::id);
    if (curve == signing_curves.end())
        unsupported("the curve " + curve_name(id) + ", where SSH has NIST P-256, P-384 and P-521");
    return *curve;
}

/// The private operation of an RSA key that only decrypts can make signatures too.
bool only_decrypts(const TPMT_PUBLIC& area) {
    constexpr TPMA_OBJECT uses = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_RESTRICTED;
    return area.type == TPM2_ALG_RSA && (area.objectAttributes & uses) == TPMA_OBJECT_DECRYPT;
}

void require_free_signing(const TPMT_PUBLIC& area) {
    const auto attributes = area.objectAttributes;
    if ((attributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0 && !only_decrypts(area))
        unsupported("not a signing key: its sign attribute is clear");
    if ((attributes & TPMA_OBJECT_RESTRICTED) != 0)
        unsupported("a restricted key, which signs only data that the TPM itself made");
    if ((attributes & TPMA_OBJECT_X509SIGN) != 0)
        unsupported("a key that signs X.509 certificates only: its x509sign attribute is set");
}

std::string commands_of(const KeyFile& key) {
    std::string names;
    const auto add = [&](const std::vector<PolicyCommand>& policy) {
        for (const auto& command : policy) {
            const auto name = policy_command_name(command.command_code);
            if (names.find(name) == std::string::npos)
                names += (names.empty() ? "" : ", ") + name;
        }
    };
    add(key.policy);
    for (const auto& auth_policy : key.auth_policies)
        add(auth_policy.policy);
    return names;
}

/// With userWithAuth the PIN is sufficient, even if there is a policy too (part 1, "Authorization Roles").
void require_use_by_pin(const KeyFile& key) {
    if ((key.public_area.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0)
        return;
    const auto names = commands_of(key);
    if (!names.empty())
        unsupported("a key that is used under a policy only (" + names + ")");
    if (key.public_area.authPolicy.size != 0)
        unsupported("a key that is used under a policy only, which the file does not contain");
    unsupported("a key that nothing can authorise: it has neither userWithAuth nor a policy");
}

void require_ecdsa(const TPMT_PUBLIC& area) {
    const auto& parameters = area.parameters.eccDetail;
    const auto& curve = curve_of(parameters.curveID);
    const auto scheme = parameters.scheme.scheme;
    const auto hash = parameters.scheme.details.anySig.hashAlg;
    if (scheme != TPM2_ALG_NULL && scheme != TPM2_ALG_ECDSA)
        unsupported("a key of the scheme " + algorithm_name(scheme) + ", where SSH needs ECDSA");
    if (scheme == TPM2_ALG_ECDSA && hash != curve.hash)
        unsupported("a key that signs with " + algorithm_name(hash) + ", where SSH needs " +
                    algorithm_name(curve.hash) + " for " + curve_name(curve.id));
    for (const auto* coordinate : {&area.unique.ecc.x, &area.unique.ecc.y}) {
        // Some writers strip the leading zero bytes.
        if (coordinate->size == 0 || coordinate->size > curve.width)
            malformed("a coordinate of " + std::to_string(coordinate->size) + " bytes on " +
                      curve_name(curve.id));
    }
}

void require_rsa_sha2(const TPMT_PUBLIC& area) {
    const auto& parameters = area.parameters.rsaDetail;
    if (parameters.keyBits != 2048 && parameters.keyBits != 3072 && parameters.keyBits != 4096)
        unsupported("an RSA key of " + std::to_string(parameters.keyBits) +
                    " bits, where 2048, 3072 and 4096 are supported");
    const auto scheme = parameters.scheme.scheme;
    const auto hash = parameters.scheme.details.anySig.hashAlg;
    if (scheme != TPM2_ALG_NULL && only_decrypts(area))
        unsupported("a key that only decrypts, with the scheme " + algorithm_name(scheme) +
                    ": without the attribute sign, SSH needs a key without a scheme");
    if (scheme != TPM2_ALG_NULL && scheme != TPM2_ALG_RSASSA)
        unsupported("a key of the scheme " + algorithm_name(scheme) + ", where SSH needs RSASSA");
    if (scheme == TPM2_ALG_RSASSA && hash != TPM2_ALG_SHA256 && hash != TPM2_ALG_SHA512)
        unsupported("a key that signs with " + algorithm_name(hash) + ", where SSH needs SHA-256 or SHA-512");
    // 0 means 65537 (part 2, section 12.2.3.5).
    if (parameters.exponent != 0 && parameters.exponent != 65537)
        unsupported("an RSA key with the public exponent " + std::to_string(parameters.exponent));
    const auto& modulus = area.unique.rsa;
    if (modulus.size * 8U != parameters.keyBits || (modulus.buffer[0] & 0x80U) == 0)
        malformed("a modulus that is not of " + std::to_string(parameters.keyBits) + " bits");
}

} // namespace

void require_signing_key(const KeyFile& key) {
    require_loadable(key.kind);
    const auto& area = key.public_area;
    require_asymmetric(area.type);
    require_free_signing(area);
    require_use_by_pin(key);
    if (area.type == TPM2_ALG_ECC)
        require_ecdsa(area);
    else
        require_rsa_sha2(area);
}

TPMI_ALG_HASH signature_hash(TPM2_ECC_CURVE curve) {
    return curve_of(curve).hash;
}

std::optional<TPMI_ALG_HASH> fixed_hash(const TPMT_PUBLIC& area) noexcept {
    const auto hash_in = [](const auto& scheme) {
        return scheme.scheme == TPM2_ALG_NULL ? std::nullopt : std::optional(scheme.details.anySig.hashAlg);
    };
    return area.type == TPM2_ALG_ECC ? hash_in(area.parameters.eccDetail.scheme)
                                     : hash_in(area.parameters.rsaDetail.scheme);
}

} // namespace sshtpm::keyfile
