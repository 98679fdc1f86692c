#include "prompt/prompter.hpp"

#include "prompt/ask.hpp"
#include "prompt/confirm.hpp"
#include "prompt/policy.hpp"

#include <utility>

#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

using Terminal = Prompter::Terminal;

/// Being the one question on the terminal: given back when it goes, however that comes.
class Turn {
  public:
    explicit Turn(std::shared_ptr<Terminal> terminal) : terminal_(std::move(terminal)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        terminal_->try_receive([](const boost::system::error_code&) {}); // lets the next one in
    }

  private:
    std::shared_ptr<Terminal> terminal_;
};

asio::awaitable<std::optional<Secret>> ask_in_turn(std::shared_ptr<Terminal> terminal, std::string question) {
    if (choose_asker(current_circumstances(), Program::agent) != Asker::terminal)
        co_return co_await ask(std::move(question), Program::agent);
    // Cancelled here, it throws and has not got the turn.
    co_await terminal->async_send(boost::system::error_code(), asio::use_awaitable);
    const Turn turn(terminal);
    co_return co_await ask(std::move(question), Program::agent); // chosen anew: the wait may have been long
}

} // namespace

Prompter::Prompter(const asio::any_io_executor& loop) : terminal_(std::make_shared<Terminal>(loop, 1)) {}

asio::awaitable<std::optional<Secret>> Prompter::ask(std::string question) {
    return ask_in_turn(terminal_, std::move(question));
}

asio::awaitable<Confirmation> Prompter::confirm(std::string question) {
    return prompt::confirm(std::move(question));
}

} // namespace sshtpm::prompt
