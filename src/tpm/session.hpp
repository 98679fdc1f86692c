#pragma once
// Auth values (PINs and passwords), and the HMAC session that keeps them off the bus.

#include "base/secret.hpp"
#include "tpm/context.hpp"

#include <memory>

namespace sshtpm::tpm {

/// The auth value of an object; null for an empty one. Shared, so that a PIN is in memory once.
using Auth = std::shared_ptr<const Secret>;

/// In bytes. An auth value is at most as long as a digest of the nameAlg, SHA-256 (Part 1, 19.6.4.3).
inline constexpr std::size_t max_pin = 32;

/// From typed UTF-8, zero bytes at the end stripped, as the TPM does. Null for an empty PIN.
/// @throws Error(usage) for more than max_pin bytes.
Auth to_auth(Secret typed);

/// An HMAC session salted to `salt_key` (a storage key), not bound, SHA-256, with AES-128-CFB for parameter
/// encryption. Never unsalted: from a recording of an unsalted session one core tries millions of PINs a
/// second. TPM2_GetRandom shows that both sides have the same session: if the TPM's answer was garbled on its
/// way, the right PIN would cost a try.
/// @throws Error for such an answer.
Handle start_hmac_session(const Context& context, ESYS_TR salt_key);

/// Whether the TPM knows this session as ESYS does: one TPM2_GetRandom through it, which never spends a try.
bool is_in_step(const Context& context, const Handle& session) noexcept;

enum class Encryption {
    none,
    command, ///< the first parameter of the command is encrypted (a new auth value, a sensitive area)
};

/// For the next command through the session, which stays open after it.
void prepare_session(const Context& context, const Handle& session, Encryption encryption);

/// Sets the auth value that ESYS uses for an object, for as long as this lives. Afterwards both copies of
/// ESYS, in the object and in the session, are overwritten, without a command.
class AuthInUse {
  public:
    /// @param kept_session the session that uses the value, if it outlives this; flushed if the copy in it
    ///     cannot be overwritten.
    /// @throws Error(malformed) for more than the TPM's 64 bytes.
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
