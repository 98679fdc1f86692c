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
/// core tries millions of PINs a second. Before a PIN is used in it, one command shows that the TPM knows it
/// as we do: of a reply that was garbled on its way nothing else could tell but the try that it costs.
/// @throws Error for such a reply.
Handle start_hmac_session(const Context& context, ESYS_TR salt_key);

/// Whether the TPM knows this session as ESYS does: one command through it (TPM2_GetRandom), which spends no
/// try whatever comes of it.
bool is_in_step(const Context& context, const Handle& session) noexcept;

enum class Encryption {
    none,
    command, ///< the first parameter of the command is encrypted (a new auth value, a sensitive area)
};

/// Sets what the next command through the session is to do; the session stays open after it.
void prepare_session(const Context& context, const Handle& session, Encryption encryption);

/// Sets the auth value that ESYS uses for an object, for as long as this lives: afterwards it is empty, and
/// nothing of it is left. ESYS copies it into its own heap twice. The copy in the object is overwritten, and
/// so is the one in a session that is kept; the one in a session that is flushed is zeroed as it is freed
/// (base/zeroing_free.cpp). No command is sent for that.
class AuthInUse {
  public:
    /// @throws Error(malformed) for more than the TPM's 64 bytes.
    /// @param kept_session the session that the value is used in, where it outlives this; given up should it
    ///     not let go of the value.
    AuthInUse(const Context& context, ESYS_TR object, const Auth& auth, Handle* kept_session = nullptr);
    AuthInUse(const AuthInUse&) = delete;
    AuthInUse& operator=(const AuthInUse&) = delete;
    ~AuthInUse();

  private:
    const Context& context_;
    ESYS_TR object_;
    Handle* kept_session_;
    bool set_;
};

} // namespace sshtpm::tpm
