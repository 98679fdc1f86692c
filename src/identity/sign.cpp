// SPDX-License-Identifier: MIT
#include "identity/sign.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "identity/convert.hpp"
#include "keyfile/names.hpp"
#include "keyfile/usable.hpp"
#include "ssh/digest.hpp"
#include "tpm/lockout.hpp"
#include "tpm/tpm.hpp"

#include <algorithm>
#include <span>

#include <tss2/tss2_tcti.h>

namespace sshtpm::identity {

namespace {

/// The algorithms that OpenSSH uses with this key by default. A key with a scheme signs with its hash alone.
std::span<const ssh::SignatureAlgorithm> algorithms_of(const Identity& identity) {
    const auto all = ssh::algorithms_of(identity.public_key.type());
    const auto fixed = keyfile::fixed_hash(identity.key->public_area);
    if (!fixed)
        return all;
    const auto own =
        std::ranges::find(all, *fixed, [](const auto& algorithm) { return to_tpm(algorithm.hash); });
    return all.subspan(static_cast<std::size_t>(own - all.begin()), 1);
}

bool takes_auth(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash) {
    const auto digest = ssh::digest(hash, identity.public_key.blob());
    return !std::holds_alternative<tpm::WrongAuth>(sign(tpm, identity, auth, hash, digest));
}

} // namespace

void require_hash(const Identity& identity, ssh::Hash hash) {
    const auto fixed = keyfile::fixed_hash(identity.key->public_area);
    if (fixed && *fixed != to_tpm(hash))
        throw Error(
            Errc::unsupported,
            identity.name() + ": this key was made for signatures with " + keyfile::algorithm_name(*fixed) +
                " only; a signature with " + keyfile::algorithm_name(to_tpm(hash)) + " was asked for",
            "a key of `ssh-tpm keygen` signs with every hash; for this one, set PubkeyAcceptedAlgorithms "
            "in ssh_config (for a host key, HostKeyAlgorithms in sshd_config) to the algorithm that it has");
}

ssh::Hash trial_hash(const Identity& identity) {
    return algorithms_of(identity).back().hash; // SHA-256 if the key can
}

SignResult sign_once(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                     ByteView digest) {
    const auto result = tpm.keys().sign(identity.key, auth, to_tpm(hash), digest);
    if (const auto* signature = std::get_if<TPMT_SIGNATURE>(&result))
        return to_signature(*signature);
    return tpm::WrongAuth{};
}

SignResult sign_reloaded(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                         ByteView digest) {
    log::debug("the TPM's signature is wrong; its keys are loaded again");
    tpm.keys().flush_remains();
    return sign_once(tpm, identity, auth, hash, digest);
}

bool is_wrong(const SignResult& result, const Identity& identity, ssh::Hash hash, ByteView digest) {
    const auto* signature = std::get_if<ssh::RawSignature>(&result);
    return signature != nullptr && !identity.verifier.verify(hash, digest, *signature);
}

void refuse_wrong_signature() {
    // This code makes Tpm open the connection again.
    throw Error::from_tpm(
        Errc::tpm, TSS2_TCTI_RC_MALFORMED_RESPONSE, "the TPM's signature is wrong; it is not used",
        "try again; if it stays so, look for what sits between this program and the TPM, or "
        "have the TPM looked at");
}

SignResult sign(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest) {
    auto result = sign_once(tpm, identity, auth, hash, digest);
    if (is_wrong(result, identity, hash, digest))
        result = sign_reloaded(tpm, identity, auth, hash, digest);
    if (is_wrong(result, identity, hash, digest))
        refuse_wrong_signature();
    return result;
}

bool takes_auth(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth) {
    return takes_auth(tpm, identity, auth, trial_hash(identity));
}

void prove(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth) {
    for (const auto& algorithm : algorithms_of(identity)) {
        const auto accepted = [&] { return takes_auth(tpm, identity, auth, algorithm.hash); };
        if (!(algorithm.flag == 0 ? accepted() : naming(algorithm.name, accepted)))
            throw Error(Errc::auth, "the PIN is wrong; the key was not kept",
                        tpm::wrong_pin_hint(tpm.context(), *identity.key));
    }
}

} // namespace sshtpm::identity
