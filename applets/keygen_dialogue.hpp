#pragma once
// The questions that keygen asks, in ssh-keygen's words.

#include "base/secret.hpp"
#include "tpm/session.hpp"

#include <optional>
#include <string>

namespace sshtpm::applets {

/// An answer that is no secret: a line from standard input. Nothing at its end.
std::optional<std::string> ask_line(const std::string& question);

/// @throws Error(refused) when nobody answers.
Secret ask_secret(const std::string& question);

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

} // namespace sshtpm::applets
