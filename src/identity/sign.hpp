#pragma once
// A signature by an identity, in SSH's terms.

#include "identity/identity.hpp"
#include "tpm/session.hpp"
#include "tpm/sign.hpp"

namespace sshtpm::tpm {
class Device;
}

namespace sshtpm::identity {

using SignResult = std::variant<ssh::RawSignature, tpm::WrongAuth>;

/// Blocking: for the thread that owns the device. The signature is checked with the public key: a faulty chip
/// or a tampered bus must neither leak the key through a wrong one nor mislead whoever gets it. After a wrong
/// one the key is loaded anew, since another program's may have got its number, and signs once more.
/// @param digest a digest of `hash`.
/// @throws Error when that is wrong too, and as WarmKeys::sign does.
SignResult sign(tpm::Device& device, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest);

/// Has the TPM sign something with a new key and checks the signature, so that no key file is written that
/// does not work. @throws Error
void prove(tpm::Device& device, const Identity& identity, const tpm::Auth& auth);

} // namespace sshtpm::identity
