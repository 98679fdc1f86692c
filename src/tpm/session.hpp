#pragma once
// The HMAC session that keeps PINs off the bus.

#include "base/secret.hpp"
#include "tpm/handle.hpp"

#include <memory>

namespace sshtpm::tpm {

class Context;

/// The auth value of an object; null where it is empty. Shared because the PIN cache and a signature in
/// flight use the same guarded memory.
using Auth = std::shared_ptr<const Secret>;

/// An HMAC session salted to `salt_key` (a storage key: restricted, decrypt), not bound, SHA-256, with
/// AES-128-CFB for parameter encryption. Never unsalted: from a recording of one unsalted session a single
/// core tries millions of PINs a second.
Handle start_hmac_session(const Context& context, ESYS_TR salt_key);

enum class Encryption {
    none,
    command, ///< the first parameter of the command is encrypted (a new auth value, a sensitive area)
};

/// Sets what the next command through the session is to do; the session stays open after it.
void prepare_session(const Context& context, const Handle& session, Encryption encryption);

/// Sets the auth value that ESYS uses for an object, for as long as this lives: afterwards it is empty.
/// ESYS copies it into its own heap. The copy in the object is overwritten here; the one that it makes in the
/// session for the length of a command is freed by ESYS without being wiped.
class AuthInUse {
  public:
    /// @throws Error(malformed) for more than the TPM's 64 bytes.
    AuthInUse(const Context& context, ESYS_TR object, const Auth& auth);
    AuthInUse(const AuthInUse&) = delete;
    AuthInUse& operator=(const AuthInUse&) = delete;
    ~AuthInUse();

  private:
    const Context& context_;
    ESYS_TR object_;
    bool set_;
};

} // namespace sshtpm::tpm
