// SPDX-License-Identifier: MIT
#pragma once
// Asks a person for a secret or a permission.

#include "base/secret.hpp"
#include "prompt/askpass.hpp"
#include "prompt/terminal.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

enum class Asker { askpass, terminal, standard_input, nobody };

enum class Program {
    agent, ///< asks on the terminal, else through askpass
    tool, ///< the same if standard input is a terminal; else asks through askpass, else on the terminal, else
          ///< reads a line of standard input
};

struct Circumstances {
    bool display = false;                            ///< DISPLAY or WAYLAND_DISPLAY is set and not empty
    std::optional<std::string> askpass_require = {}; ///< SSH_ASKPASS_REQUIRE: "never", "prefer", "force"
    bool terminal = false;       ///< there is a terminal, and this process may read from it
    bool stdin_terminal = false; ///< standard input is a terminal
};

/// Looks up the circumstances of this process.
Circumstances current_circumstances();

/// The rules of OpenSSH's read_passphrase, documented in ssh(1) and ssh-keygen(1).
Asker choose_asker(const Circumstances& circumstances, Program program);

/// Why nobody can be asked through askpass.
inline constexpr std::string_view askpass_needs =
    "no askpass program may be started (that needs DISPLAY, WAYLAND_DISPLAY or SSH_ASKPASS_REQUIRE=force; "
    "SSH_ASKPASS_REQUIRE=never forbids it)";

/// True if an askpass program may be started.
bool askpass_allowed(const Circumstances& circumstances);

/// Asks for a secret: the prompter for the agent, or a tool. Cancelling withdraws the question.
boost::asio::awaitable<TerminalAnswer> ask_once(std::string question, Asker asker, Program program);

/// Asks for a secret in a tool, which has no event loop. A signal that ends the program does so after the
/// terminal's echo is on again.
/// @throws Error as read_input_line
Answer ask_and_wait(const std::string& question);

/// Reads a line of standard input, and nothing behind it. As in ssh-keygen a NUL ends it too: people run
/// `cat /dev/zero | ssh-keygen -q -N ''` to take the default file.
/// @returns nothing at the end of input @throws Error(malformed) for more than max_answer bytes
std::optional<Secret> read_input_line();

} // namespace sshtpm::prompt
