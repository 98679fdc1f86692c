// SPDX-License-Identifier: MIT
#pragma once
// Asks a person for a secret or a permission.

#include "base/secret.hpp"
#include "prompt/askpass.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
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

/// Asks for a secret in a program without an event loop. A signal that ends the program does so after the
/// terminal's echo is on again.
/// @throws Error as read_input_line
Answer ask_and_wait(const std::string& question, Program program);

/// Reads a line of standard input, and nothing behind it. As in ssh-keygen a NUL ends it too: people run
/// `cat /dev/zero | ssh-keygen -q -N ''` to take the default file.
/// @returns nothing at the end of input @throws Error(malformed) for more than max_answer bytes
std::optional<Secret> read_input_line();

struct TerminalQueue;

/// Asks questions of an agent, which may have several at the same time. On the terminal, questions take
/// turns, so that no answer goes to the wrong one. Askpass programs have a window each and run at the same
/// time. Use it on the thread of `loop`; a question may outlive its Prompter.
class Prompter {
  public:
    explicit Prompter(const boost::asio::any_io_executor& loop);

    /// Asks for a secret. Cancelling withdraws the question, even while it waits for the terminal; the call
    /// then throws operation_aborted or returns `cancelled`.
    boost::asio::awaitable<Answer> ask(std::string question);

    /// Asks for permission. Like OpenSSH's ask_permission, it uses only an askpass program, because any
    /// program can write to a terminal. That needs DISPLAY, WAYLAND_DISPLAY or SSH_ASKPASS_REQUIRE=force, and
    /// not SSH_ASKPASS_REQUIRE=never. Cancelling kills the program. Does not throw.
    boost::asio::awaitable<Confirmation> confirm(std::string question);

  private:
    std::shared_ptr<TerminalQueue> queue_;
};

} // namespace sshtpm::prompt
