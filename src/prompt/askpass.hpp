#pragma once
// Asking through an askpass program: the prompt is its argument, the answer its standard output.

#include "base/secret.hpp"
#include "os/child.hpp"
#include "prompt/answer.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// $SSH_ASKPASS, else "ssh-askpass".
std::string askpass_program();

/// Nothing when the program exits with another status than 0, cannot be run, or answers with more than
/// max_answer bytes. Cancelling kills the program.
boost::asio::awaitable<std::optional<Secret>> ask_askpass(std::string program, std::string prompt,
                                                          os::Child::Group group = os::Child::Group::own);

/// Runs the program with SSH_ASKPASS_PROMPT=confirm, which has it show a yes and a no. A yes when it exits
/// with 0 and its output is a permission. Cancelling kills it.
boost::asio::awaitable<Confirmation> confirm_askpass(std::string program, std::string question);

} // namespace sshtpm::prompt
