#include "identity/sign.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "identity/convert.hpp"
#include "ssh/digest.hpp"
#include "tpm/lockout.hpp"
#include "tpm/tpm.hpp"

#include <optional>

#include <tss2/tss2_tcti.h>

namespace sshtpm::identity {

namespace {

constexpr int attempts = 2;

/// Nothing when both signatures are wrong.
std::optional<SignResult> checked_sign(tpm::Tpm& device, const Identity& identity, const tpm::Auth& auth,
                                       ssh::Hash hash, ByteView digest) {
    for (int attempt = 0; attempt < attempts; ++attempt) {
        const auto result = device.keys().sign(identity.key, auth, to_tpm(hash), digest);
        const auto* made = std::get_if<TPMT_SIGNATURE>(&result);
        if (made == nullptr)
            return tpm::WrongAuth{};
        auto signature = to_signature(*made);
        if (identity.verifier.verify(hash, digest, signature))
            return signature;
        log::debug("the TPM's signature is wrong; its keys are loaded anew");
        device.keys().flush_remains();
    }
    return std::nullopt;
}

} // namespace

SignResult sign(tpm::Tpm& device, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest) {
    if (auto result = checked_sign(device, identity, auth, hash, digest))
        return std::move(*result);
    // This code has Tpm open the connection anew.
    throw Error::from_tpm(
        Errc::tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE, "the TPM's signature is wrong; it was not sent",
        "try again; if it stays so, look for what sits between this program and the TPM, or "
        "have the TPM looked at");
}

void prove(tpm::Tpm& device, const Identity& identity, const tpm::Auth& auth) {
    const auto hash = ssh::info(identity.public_key.type()).hash;
    const auto digest = ssh::digest(hash, identity.public_key.blob());
    const auto result = checked_sign(device, identity, auth, hash, digest);
    if (!result)
        throw Error(Errc::tpm, "the TPM's first signature with the new key is wrong; the key was not kept");
    if (std::holds_alternative<tpm::WrongAuth>(*result))
        throw Error(Errc::auth, "the PIN is wrong; the key was not kept",
                    tpm::wrong_pin_hint(device.context(), *identity.key));
}

} // namespace sshtpm::identity
