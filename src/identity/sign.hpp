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

/// Blocking, within a job of Tpm::run. The signature is checked with the public key: a wrong one, of a faulty
/// chip or from a tampered bus, may reveal the private key. After a wrong one the key is loaded anew, since
/// another program's key may have got its number, and signs once more.
/// @param digest a digest of `hash`.
/// @throws Error when the second one is wrong too, and as LoadedKeys::sign does.
SignResult sign(tpm::Tpm& device, const Identity& identity, const tpm::Auth& auth, ssh::Hash hash,
                ByteView digest);

/// Signs with a new key, before its file is written. @throws Error for a key that does not work.
void prove(tpm::Tpm& device, const Identity& identity, const tpm::Auth& auth);

} // namespace sshtpm::identity
