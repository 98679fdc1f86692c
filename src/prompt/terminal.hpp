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

/// Stops this process while it is in the background of its terminal, as reading there would.
/// @throws Error(io) when nobody could put it into the foreground.
void wait_for_foreground();

struct TerminalAnswer {
    std::optional<Secret> answer = {}; ///< nothing at end of input or when the line is too long
    /// The signal that came meanwhile and is to act now; the question is open. SIGCONT when the process was
    /// stopped by no such signal, or its terminal was taken away.
    std::optional<int> stopped_by = {};
};

/// Shows the prompt and reads a line without echo, as readpassphrase(3) does. The echo is back, what was
/// typed and not read is dropped, and the line is ended, when this returns, throws or is cancelled.
boost::asio::awaitable<TerminalAnswer> ask_terminal(std::string prompt);

} // namespace sshtpm::prompt
