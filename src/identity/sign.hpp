// SPDX-License-Identifier: MIT
#pragma once
// A signature by an identity, in SSH's terms.

#include "identity/identity.hpp"
#include "tpm/loaded_keys.hpp"
#include "tpm/session.hpp"

namespace sshtpm::tpm {
class Tpm;
}

namespace sshtpm::identity {

using SignResult = std::variant<ssh::RawSignature, tpm::WrongAuth>;

/// Checks that the key's scheme, if it is fixed, has this hash. The TPM itself would answer TPM_RC_SCHEME,
/// which also stands for a scheme that the TPM lacks.
/// @throws Error(unsupported) that names the key
void require_hash(const Identity& identity, ssh::Hash hash);
/// A hash with which the key can sign.
ssh::Hash trial_hash(const Identity& identity);

/// Signs, blocking, within a job of Tpm::run, and checks the signature with the public key: a wrong one, from
/// a faulty chip or a tampered bus, may reveal the private key. After a wrong one it signs once more with the
/// key loaded again, since another program's key may have got its handle.
/// @param digest a digest of `hash`.
/// @throws Error when the second one is wrong too, and as LoadedKeys::sign does.
SignResult sign(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest);

// The steps of `sign`, for the agent, which checks a signature while the TPM makes the next one.
SignResult sign_once(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                     ByteView digest);
SignResult sign_reloaded(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                         ByteView digest);
/// Not for two threads at a time with one identity (ssh::Verifier).
bool is_wrong(const SignResult& result, const Identity& identity, ssh::Hash hash, ByteView digest);
[[noreturn]] void refuse_wrong_signature();

/// Tries an auth value with a signature. @returns false if the TPM refuses it @throws Error as `sign` does
bool takes_auth(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth);

/// Signs with a new key, before its file is written, with each algorithm that OpenSSH uses by default and
/// that the key's scheme allows. @throws Error for a key that does not work; it names the algorithm of an RSA
/// key.
void prove(tpm::Tpm& tpm, const Identity& identity, const tpm::Auth& auth);

} // namespace sshtpm::identity
