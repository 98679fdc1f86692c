// SPDX-License-Identifier: MIT
#pragma once
// The agent's side of its questions: it sends them to the prompter, the process that asks a person.

#include "prompt/ask.hpp"

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace sshtpm::prompt {

/// Asks questions of an agent, which may have several at the same time. If the prompter ends or sends
/// something malformed, these questions and all later ones get a no: it is never started again. A signal that
/// stops this process while a question for a secret is open does so when the terminal's echo is on; the
/// question is asked again when the process continues. Use it on the thread of `loop`; a question may outlive
/// its PrompterClient.
class PrompterClient {
  public:
    /// @param socket to a Prompter; this object duplicates it
    PrompterClient(const boost::asio::any_io_executor& loop, int socket);
    PrompterClient(const PrompterClient&) = delete;
    PrompterClient& operator=(const PrompterClient&) = delete;
    ~PrompterClient();

    /// Asks for a secret. Cancelling withdraws the question; the call then throws operation_aborted.
    boost::asio::awaitable<Answer> ask(std::string question);

    /// Asks for permission through an askpass program, which needs DISPLAY, WAYLAND_DISPLAY or
    /// SSH_ASKPASS_REQUIRE=force, and not SSH_ASKPASS_REQUIRE=never. Cancelling as with `ask`.
    boost::asio::awaitable<Confirmation> confirm(std::string question);

    /// Who would be asked for a secret now. @returns nothing if the prompter has ended, or is stopped
    boost::asio::awaitable<std::optional<Asker>> who();

    /// Ends the prompter, and with it all questions.
    void close();

  private:
    class Link;

    std::shared_ptr<Link> link_;
};

} // namespace sshtpm::prompt
