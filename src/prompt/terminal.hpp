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

struct TerminalAnswer {
    std::optional<Secret> answer = {}; ///< nothing at end of input or when the line is too long
    bool stopped = false; ///< this process was stopped and goes on, or is in the background now: ask again
};

/// Shows the prompt and reads a line without echo, as readpassphrase(3) does. The echo is back, what was
/// typed and not read is dropped, and the line is ended, when this returns, throws or is cancelled, and while
/// the process is stopped. Called in the background, it stops the process.
boost::asio::awaitable<TerminalAnswer> ask_terminal(std::string prompt);

} // namespace sshtpm::prompt
