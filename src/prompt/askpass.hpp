// SPDX-License-Identifier: MIT
#pragma once
// Asks through an askpass program: the question is its argument, the answer its standard output.

#include "base/secret.hpp"
#include "os/child.hpp"
#include "prompt/answer.hpp"

#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// The result of a question for permission.
enum class Confirmation {
    unanswered, ///< cancelled, or not answered in time
    no,
    yes,
    nobody, ///< nobody can be asked
    failed, ///< the askpass program could not ask
};

/// The beginning of a sentence that goes on with "the use of ...".
std::string_view in_words(Confirmation outcome);

/// True if this output of an askpass program means yes: it is empty or "yes" in any case, as in OpenSSH's
/// ask_permission. Unlike OpenSSH, this refuses several lines and a NUL.
bool is_permission(ByteView output);

/// $SSH_ASKPASS, else "ssh-askpass".
std::string askpass_program();

/// Asks for a secret. Cancelling kills the program.
/// @returns `cancelled` if the program ends with another status than 0; `failed` if it cannot be run, is
///     killed, or prints more than max_answer bytes
boost::asio::awaitable<Answer> ask_askpass(std::string program, std::string question,
                                           os::Child::Group group = os::Child::Group::own);

/// Asks for permission with SSH_ASKPASS_PROMPT=confirm, for which the program shows the buttons "yes" and
/// "no". The answer is yes if the program exits with 0 and `is_permission` holds for its output. Cancelling
/// kills the program.
boost::asio::awaitable<Confirmation> confirm_askpass(std::string program, std::string question);

} // namespace sshtpm::prompt
