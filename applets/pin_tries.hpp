#pragma once
// The tries that a TPM allows before it locks are not spent without a person's word.

#include "keyfile/key_file.hpp"
#include "tpm/tpm.hpp"

namespace sshtpm::applets {

/// Why the try that would lock the TPM is not spent where nobody can be asked.
inline constexpr auto last_try_unasked =
    "LAST TRY: another wrong PIN would lock the TPM; without a terminal it is not spent";

inline constexpr int most_tries = 3; ///< as ssh asks for a passphrase

class PinTries {
  public:
    /// Both must outlive it.
    PinTries(tpm::Tpm& device, const keyfile::KeyFile& key) noexcept : device_(device), key_(key) {}

    /// Before a PIN of the key is asked for, and again before it is tried, because much can happen while a
    /// person types. When a wrong one would lock the TPM, it asks at the terminal, once.
    /// @throws Error(lockout) in lockout; Error(refused) when the last try is not to be spent, or there is no
    ///     terminal to ask at.
    void require_one();

  private:
    tpm::Tpm& device_;
    const keyfile::KeyFile& key_;
    bool last_allowed_ = false;
};

} // namespace sshtpm::applets
