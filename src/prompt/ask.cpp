#include "prompt/ask.hpp"

#include "base/log.hpp"
#include "os/harden.hpp"
#include "prompt/askpass.hpp"
#include "prompt/terminal.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

/// A line from standard input, a byte at a time, so that the next question finds the next line.
std::optional<Secret> ask_standard_input(const std::string& question) {
    std::cerr << question << std::flush;
    Secret answer(max_answer);
    std::array<std::uint8_t, 1> byte{};
    for (;;) {
        const auto got = ::read(STDIN_FILENO, byte.data(), 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 && answer.empty())
            return std::nullopt;
        if (got <= 0 || byte[0] == '\n')
            return answer;
        if (!answer.append(byte))
            return std::nullopt;
    }
}

asio::awaitable<TerminalAnswer> ask_once(std::string question, Program program) {
    TerminalAnswer outcome;
    switch (choose_asker(current_circumstances(), program)) {
    case Asker::askpass:
        outcome.answer = co_await ask_askpass(askpass_program(), std::move(question),
                                              program == Program::agent ? os::Child::Group::own
                                                                        : os::Child::Group::shared);
        break;
    case Asker::terminal:
        outcome = co_await ask_terminal(std::move(question));
        break;
    case Asker::nobody:
        log::error(
            "nobody can be asked: this process is not in the foreground of a terminal, and for an "
            "askpass there must be DISPLAY, WAYLAND_DISPLAY or SSH_ASKPASS_REQUIRE=force, and not =never");
        break;
    case Asker::standard_input: // only `ask_and_wait` may block
        break;
    }
    co_return std::move(outcome);
}

/// In a loop of its own. A signal that ends the program does so here, after the question is gone.
TerminalAnswer wait_for_answer(const std::string& question, Program program) {
    asio::io_context loop(1);
    asio::cancellation_signal cancel;
    asio::signal_set signals(loop);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM})
        if (!os::was_ignored_at_start(number))
            signals.add(number);
    int caught = 0;
    signals.async_wait([&](const boost::system::error_code& failure, int number) {
        if (failure)
            return;
        caught = number;
        cancel.emit(asio::cancellation_type::terminal);
    });

    TerminalAnswer answer;
    std::exception_ptr thrown;
    asio::co_spawn(
        loop, ask_once(question, program),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, TerminalAnswer a) {
            thrown = error;
            answer = std::move(a);
            signals.cancel();
        }));
    loop.run();
    signals.clear(); // puts the default handling back
    if (caught != 0)
        ::raise(caught);
    if (thrown)
        std::rethrow_exception(thrown);
    return answer;
}

} // namespace

asio::awaitable<std::optional<Secret>> ask(std::string question, Program program) {
    for (;;) {
        auto outcome = co_await ask_once(question, program);
        if (!outcome.stopped_by)
            co_return std::move(outcome.answer);
        ::raise(*outcome.stopped_by); // returns when the process goes on, in the background maybe
    }
}

std::optional<Secret> ask_and_wait(const std::string& question, Program program) {
    const auto asker = choose_asker(current_circumstances(), program);
    if (asker == Asker::standard_input)
        return ask_standard_input(question);
    if (asker == Asker::terminal)
        wait_for_foreground();
    for (;;) {
        auto outcome = wait_for_answer(question, program);
        if (!outcome.stopped_by)
            return std::move(outcome.answer);
        ::raise(*outcome.stopped_by);
        wait_for_foreground();
    }
}

} // namespace sshtpm::prompt
