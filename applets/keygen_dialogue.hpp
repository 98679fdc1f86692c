// SPDX-License-Identifier: MIT
#pragma once
// The questions that keygen asks, in ssh-keygen's words. The last try before the TPM locks is spent only if a
// person agrees.

#include "base/secret.hpp"
#include "keyfile/key_file.hpp"
#include "tpm/session.hpp"
#include "tpm/tpm.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sshtpm::applets {

/// Asks for a line from standard input that is not secret: on standard output, or if that is no terminal, on
/// standard error. Nothing at its end.
std::optional<std::string> ask_line(const std::string& question);

/// Asks for the name of a file, on standard input. An empty line means `usual`, and so does the end of a
/// standard input that is no terminal: a script that gives everything else by options need not answer.
/// @throws Error(refused) at the end of a terminal's input
std::string ask_file(const std::string& question, const std::string& usual);

/// The answer may be empty.
/// @param what names the secret in the error: "PIN" for "no PIN was given: nobody could be asked"
/// @throws Error(refused) with the hint if there is no answer
Secret ask_secret(const std::string& question, std::string_view what, const std::string& hint = {});

/// Like ask_secret, but an empty answer is none: the person gives up, as at ssh's questions.
Secret ask_existing_secret(const std::string& question, std::string_view what, const std::string& hint = {});

/// From the PIN of an option; null for an empty one.
tpm::Auth auth_of(const Secret& pin);

/// The new PIN of a key: `given`, or asked for twice until both answers are the same. Null for none.
/// @param question such as "Enter new passphrase (empty for no passphrase): "
tpm::Auth new_pin(const std::optional<Secret>& given, const std::string& question);

/// Like new_pin, but if the answers differ it prints that and returns nothing, as in ssh-keygen -p.
std::optional<tpm::Auth> changed_pin(const std::optional<Secret>& given);

/// Asks on standard input whether a file may be replaced.
/// @throws Error(exists) at the end of a standard input that is no terminal
bool confirm_overwrite(const std::string& path);

/// True when standard input is a terminal.
bool interactive();

inline constexpr auto last_try_unasked =
    "LAST TRY: another wrong PIN would lock the TPM; without a terminal it is not spent";

inline constexpr int most_tries = 3; ///< as ssh asks for a passphrase

struct PinHints {
    const char* instead = "-P gives it"; ///< where nobody can be asked
    const char* empty = "if the key has no PIN, use `-P ''`; if it has one, that may cost a try";
};

/// The PIN of a key: `given` (-P), or asked for. If a wrong PIN would lock the TPM, it asks at the terminal,
/// once, whether to go on. @param hints of its errors
/// @throws Error(lockout) in lockout; Error(refused) if the person says no, if there is no terminal, and for
///     an empty answer
tpm::Auth existing_pin(tpm::Tpm& tpm, const keyfile::KeyFile& key, const std::optional<Secret>& given,
                       const std::string& question, const PinHints& hints = {});

} // namespace sshtpm::applets
