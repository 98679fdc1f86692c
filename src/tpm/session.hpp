// SPDX-License-Identifier: MIT
#pragma once
// Auth values (PINs and passwords), and the HMAC session that keeps them off the bus.

#include "base/secret.hpp"
#include "tpm/context.hpp"

#include <memory>

namespace sshtpm::tpm {

/// The auth value of an object; null for an empty one. Shared, so that a PIN is in memory only once.
using Auth = std::shared_ptr<const Secret>;

/// In bytes. An auth value is at most as long as a digest of the nameAlg, SHA-256 (Part 1, 19.6.4.3).
inline constexpr std::size_t max_pin = 32;

/// Makes an auth value of typed UTF-8. Removes zero bytes at the end, as the TPM does.
/// @returns null for an empty PIN
/// @throws Error(usage) for more than max_pin bytes
Auth to_auth(Secret typed);

/// Starts an HMAC session salted to `salt_key` (a storage key), not bound, SHA-256, with AES-128-CFB for
/// parameter encryption. Never unsalted, because one core tries millions of PINs a second with a recording of
/// an unsalted session. A TPM2_GetRandom shows that both sides have the same session: if the TPM's answer was
/// garbled on its way, the right PIN would cost a try.
/// @throws Error for such an answer
Handle start_hmac_session(const Context& context, ESYS_TR salt_key);

/// True if the TPM and ESYS agree about this session. Tests it with one TPM2_GetRandom, which never costs a
/// try.
bool is_in_step(const Context& context, const Handle& session) noexcept;

enum class Encryption {
    none,
    command, ///< the first parameter of the command is encrypted (a new auth value, a sensitive area)
};

/// Prepares the session for the next command; it stays open after that.
void prepare_session(const Context& context, const Handle& session, Encryption encryption);

/// Sets the auth value that ESYS uses for an object, for the lifetime of this. The destructor overwrites both
/// copies of ESYS, in the object and in the session, without a command.
class AuthInUse {
  public:
    /// @param kept_session the session that uses the value, if it outlives this; flushed if its copy cannot
    ///     be overwritten
    /// @throws Error(malformed) for more than the TPM's 64 bytes
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
