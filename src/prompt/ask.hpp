#pragma once
// Asking a person for a secret, by whoever `policy` chooses.

#include "base/secret.hpp"
#include "prompt/policy.hpp"

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// Nothing when there is nobody to ask, or no answer was given.
boost::asio::awaitable<std::optional<Secret>> ask(std::string question, Program program);

/// The same for a program without a loop. A signal that ends the program does so after the terminal's echo
/// is back.
std::optional<Secret> ask_and_wait(const std::string& question, Program program);

} // namespace sshtpm::prompt
