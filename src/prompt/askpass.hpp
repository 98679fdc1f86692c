#pragma once
// Asking through an askpass program: the prompt is its argument, the answer its standard output.

#include "base/secret.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// $SSH_ASKPASS, else "ssh-askpass".
std::string askpass_program();

/// Nothing when the program exits with another status than 0, cannot be run, or answers with more than
/// max_answer bytes. Cancelling kills the program.
boost::asio::awaitable<std::optional<Secret>> ask_askpass(std::string program, std::string prompt);

} // namespace sshtpm::prompt
