#include "identity/sign.hpp"

#include "base/error.hpp"
#include "identity/convert.hpp"
#include "ssh/digest.hpp"
#include "tpm/device.hpp"
#include "tpm/lockout.hpp"

namespace sshtpm::identity {

SignResult sign(tpm::Device& device, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest) {
    const auto result = device.keys().sign(identity.key, auth, to_tpm(hash), digest);
    if (const auto* signature = std::get_if<TPMT_SIGNATURE>(&result))
        return to_signature(*signature);
    return tpm::WrongAuth{};
}

void prove(tpm::Device& device, const Identity& identity, const tpm::Auth& auth) {
    const auto hash = ssh::info(identity.public_key.type()).hash;
    const auto digest = ssh::digest(hash, identity.public_key.blob());
    const auto result = sign(device, identity, auth, hash, digest);
    if (std::holds_alternative<tpm::WrongAuth>(result))
        throw Error(Errc::auth, "the PIN is wrong; the key was not kept",
                    tpm::wrong_pin_hint(device.context(), *identity.key));
    const auto* signature = std::get_if<ssh::RawSignature>(&result);
    if (signature == nullptr || !identity.verifier.verify(hash, digest, *signature))
        throw Error(Errc::tpm, "the TPM's first signature with the new key is wrong; the key was not kept");
}

} // namespace sshtpm::identity
