#pragma once
// The questions that keygen asks, in ssh-keygen's words. The tries that a TPM allows before it locks are not
// spent without a person's word.

#include "base/secret.hpp"
#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"
#include "tpm/tpm.hpp"

#include <optional>
#include <string>

namespace sshtpm::applets {

/// An answer that is no secret: a line from standard input. Nothing at its end.
std::optional<std::string> ask_line(const std::string& question);

/// @throws Error(refused) when nobody answers.
Secret ask_secret(const std::string& question);

/// Of a PIN that an option gave; null for an empty one.
tpm::Auth auth_of(const Secret& pin);

/// The new PIN of a key: `given` (-N), or asked for twice until both answers are the same. Null for none.
/// @param question "Enter passphrase (empty for no passphrase): " or as the mode has it.
tpm::Auth new_pin(const std::optional<Secret>& given, const std::string& question);

/// The PIN that ssh-keygen -p would take: asked for twice, and nothing, with a word, when the answers differ.
/// Null inside for none.
std::optional<tpm::Auth> changed_pin(const std::optional<Secret>& given);

/// Whether a file may be replaced, asked at the terminal. @throws Error(exists) when there is none.
bool confirm_overwrite(const std::string& path);

/// True when standard input is a terminal.
bool interactive();

/// Why the try that would lock the TPM is not spent where nobody can be asked.
inline constexpr auto last_try_unasked =
    "LAST TRY: another wrong PIN would lock the TPM; without a terminal it is not spent";

inline constexpr int most_tries = 3; ///< as ssh asks for a passphrase

class PinTries {
  public:
    /// Both must outlive it.
    PinTries(tpm::Tpm& tpm, const keyfile::KeyFile& key) noexcept : tpm_(tpm), key_(key) {}

    /// Before a PIN of the key is asked for, and again before it is tried, because much can happen while a
    /// person types. When a wrong one would lock the TPM, it asks at the terminal, once.
    /// @throws Error(lockout) in lockout; Error(refused) when the last try is not to be spent, or there is no
    ///     terminal to ask at.
    void require_one();

  private:
    tpm::Tpm& tpm_;
    const keyfile::KeyFile& key_;
    bool last_allowed_ = false;
};

} // namespace sshtpm::applets
