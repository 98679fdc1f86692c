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

/// Blocking: for the thread that owns the device. The signature is not checked yet.
/// @param digest a digest of `hash`.
SignResult sign(tpm::Device& device, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest);

/// Has the TPM sign something with a new key and checks the signature, so that no key file is written that
/// does not work. @throws Error
void prove(tpm::Device& device, const Identity& identity, const tpm::Auth& auth);

} // namespace sshtpm::identity
