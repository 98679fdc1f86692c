#pragma once
// Asking on the controlling terminal, without echo.

#include "base/secret.hpp"
#include "prompt/answer.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// True when there is a controlling terminal and this process is in its foreground: reading from elsewhere
/// would stop the process.
bool terminal_available();

/// Shows the prompt and reads a line without echo. The echo is back, and the line ended, when this returns,
/// throws or is cancelled. Nothing at end of input or when the line is too long.
boost::asio::awaitable<std::optional<Secret>> ask_terminal(std::string prompt);

} // namespace sshtpm::prompt
