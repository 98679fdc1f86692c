// SPDX-License-Identifier: MIT
#pragma once
// Asks on the controlling terminal, without echo.

#include "base/secret.hpp"
#include "prompt/answer.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// True if there is a controlling terminal and this process is in its foreground; in the background, reading
/// would stop the process.
bool terminal_available();

/// Stops this process while it is in the background of its terminal, as reading would.
/// @throws Error(io) if nobody can put it into the foreground
void wait_for_foreground();

struct TerminalAnswer {
    Answer answer = {}; ///< `failed` for a line of more than max_answer bytes
    /// A signal that came before the answer: the caller raises it and asks again. SIGCONT if the process was
    /// stopped by SIGSTOP, or has lost the foreground.
    std::optional<int> stopped_by = {};
};

/// Reads a line without echo, as readpassphrase(3) does. When it returns, throws or is cancelled, the echo is
/// on again, unread input is dropped, and the cursor is on a new line. For a process that ignores the signals
/// that stop a process.
boost::asio::awaitable<TerminalAnswer> ask_terminal(std::string question);

/// The same for other processes: these signals end the question.
boost::asio::awaitable<TerminalAnswer> ask_terminal_until_stopped(std::string question);

} // namespace sshtpm::prompt
