#pragma once
// Asking on behalf of an agent, where several requests may have something to ask at the same time.

#include "base/secret.hpp"
#include "prompt/answer.hpp"

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/channel.hpp>

namespace sshtpm::prompt {

/// Questions on the terminal wait for each other: two at once would be answered for each other, with the echo
/// of the one in the hands of the other. Askpass programs each have a window and wait for nobody.
/// All on the one thread of `loop`; a question may outlive its Prompter.
class Prompter {
  public:
    explicit Prompter(const boost::asio::any_io_executor& loop);

    /// A secret, by whoever `policy` chooses for an agent. Nothing when there is nobody to ask, or no answer.
    /// Cancelling takes the question back, or its place in the queue; it throws operation_aborted then, or
    /// returns nothing.
    boost::asio::awaitable<std::optional<Secret>> ask(std::string question);

    /// prompt::confirm.
    boost::asio::awaitable<Confirmation> confirm(std::string question);

    /// Full while a question is on the terminal.
    using Terminal = boost::asio::experimental::channel<void(boost::system::error_code)>;

  private:
    std::shared_ptr<Terminal> terminal_;
};

} // namespace sshtpm::prompt
