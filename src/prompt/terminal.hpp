#pragma once
// Asking on the controlling terminal, without echo.

#include "base/secret.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// Secrets longer than this are not taken from anybody; the TPM's own limit is far below.
inline constexpr std::size_t max_answer = 1024;

/// True when there is a controlling terminal and this process is in its foreground: reading from elsewhere
/// would stop the process.
bool terminal_available();

/// Shows the prompt and reads a line without echo. The echo is back, and the line ended, when this returns,
/// throws or is cancelled. Nothing at end of input or when the line is too long.
boost::asio::awaitable<std::optional<Secret>> ask_terminal(std::string prompt);

/// The bytes as a person typed them: one newline at the end is cut.
void cut_newline(Secret& answer);

} // namespace sshtpm::prompt
