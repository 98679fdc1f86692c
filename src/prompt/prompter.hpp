// SPDX-License-Identifier: MIT
#pragma once
// The prompter: the process that asks a person for the agent. It runs askpass and the dialogue on the
// terminal, and does nothing else.

#include "base/unique_fd.hpp"
#include "prompt/message.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace sshtpm::prompt {

struct TerminalQueue;

/// Answers the requests that come through a socket, on the thread of `loop`, until the socket ends or a
/// request is malformed; then it cancels all questions. On the terminal, questions take turns, so that no
/// answer goes to the wrong one. Askpass programs have a window each and run at the same time. The loop must
/// not run after the end of this object.
class Prompter {
  public:
    /// @param socket of the type SOCK_SEQPACKET
    Prompter(const boost::asio::any_io_executor& loop, UniqueFd socket);
    Prompter(const Prompter&) = delete;
    Prompter& operator=(const Prompter&) = delete;
    ~Prompter();

  private:
    struct Question {
        boost::asio::cancellation_signal cancel;
        bool on_terminal =
            false; ///< or waits in `queue_`, which cannot tell its questions: suspend ends both
        bool suspended = false;
    };

    void wait();
    bool receive();
    void take(Request request);
    void start(Request request);
    void suspend(std::uint32_t number);
    void finish(std::uint32_t number, Result result);
    void finish_suspends();
    void send(std::uint32_t number, Result result);
    void end();

    boost::asio::any_io_executor loop_;
    boost::asio::posix::stream_descriptor socket_;
    std::shared_ptr<TerminalQueue> queue_;
    std::map<std::uint32_t, std::shared_ptr<Question>> open_;
    std::vector<std::uint32_t> suspends_; ///< requests that wait for the end of questions on the terminal
    bool ended_ = false;
};

/// Is the prompter until the socket ends. It is not stopped by the terminal: the agent decides when both
/// stop.
void serve_questions(UniqueFd socket);

} // namespace sshtpm::prompt
