// SPDX-License-Identifier: MIT
#include "prompt/ask.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "os/environment.hpp"
#include "os/harden.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <strings.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

enum class Require { nothing, never, prefer, force };

Require parse_require(const std::optional<std::string>& word) {
    const auto is = [&](const char* other) { return word && ::strcasecmp(word->c_str(), other) == 0; };
    return is("force")    ? Require::force
           : is("prefer") ? Require::prefer
           : is("never")  ? Require::never
                          : Require::nothing;
}

/// Asks on an event loop of its own. A signal that ends the program takes effect after the question is
/// closed.
TerminalAnswer wait_for_answer(const std::string& question) {
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
        loop, ask_once(question, choose_asker(current_circumstances(), Program::tool), Program::tool),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, TerminalAnswer a) {
            thrown = error;
            answer = std::move(a);
            signals.cancel();
        }));
    loop.run();
    signals.clear(); // restores the default handling
    if (caught != 0)
        ::raise(caught);
    if (thrown)
        std::rethrow_exception(thrown);
    return answer;
}

} // namespace

bool askpass_allowed(const Circumstances& circumstances) {
    const auto require = parse_require(circumstances.askpass_require);
    return require == Require::force || (circumstances.display && require != Require::never);
}

Asker choose_asker(const Circumstances& circumstances, Program program) {
    const auto require = parse_require(circumstances.askpass_require);
    const bool allowed = askpass_allowed(circumstances);
    if (allowed && (require == Require::force || require == Require::prefer))
        return Asker::askpass;
    if (program == Program::tool && !circumstances.stdin_terminal && allowed)
        return Asker::askpass;
    // A tool in the background is stopped here until it may ask. Reading standard input instead would echo
    // the secret.
    if (circumstances.terminal || (program == Program::tool && circumstances.stdin_terminal))
        return Asker::terminal;
    if (program == Program::tool)
        return Asker::standard_input;
    return allowed ? Asker::askpass : Asker::nobody;
}

Circumstances current_circumstances() {
    return {.display = os::has_variable("DISPLAY") || os::has_variable("WAYLAND_DISPLAY"),
            .askpass_require = os::variable("SSH_ASKPASS_REQUIRE"),
            .terminal = terminal_available(),
            .stdin_terminal = ::isatty(STDIN_FILENO) == 1};
}

asio::awaitable<TerminalAnswer> ask_once(std::string question, Asker asker, Program program) {
    TerminalAnswer outcome;
    switch (asker) {
    case Asker::askpass:
        outcome.answer = co_await ask_askpass(askpass_program(), std::move(question),
                                              program == Program::agent ? os::Child::Group::own
                                                                        : os::Child::Group::shared);
        break;
    case Asker::terminal:
        if (program == Program::tool)
            outcome = co_await ask_terminal_until_stopped(std::move(question));
        else
            outcome = co_await ask_terminal(std::move(question));
        break;
    case Asker::nobody:
    case Asker::standard_input: // only `ask_and_wait` may block
        outcome.answer = Unanswered::nobody;
        break;
    }
    co_return std::move(outcome);
}

Answer ask_and_wait(const std::string& question) {
    const auto asker = choose_asker(current_circumstances(), Program::tool);
    if (asker == Asker::standard_input) {
        std::cerr << question << std::flush;
        auto line = read_input_line();
        std::cerr << '\n'; // nobody has typed one, and the next message may be an error
        return line ? Answer(std::move(*line)) : Unanswered::nobody;
    }
    if (asker == Asker::terminal)
        wait_for_foreground();
    for (;;) {
        auto outcome = wait_for_answer(question);
        if (!outcome.stopped_by)
            return std::move(outcome.answer);
        ::raise(*outcome.stopped_by);
        wait_for_foreground();
    }
}

std::optional<Secret> read_input_line() {
    Secret answer(max_answer);
    std::array<std::uint8_t, 1> byte{};
    for (;;) { // byte by byte, so that the next question gets the next line
        const auto got = uninterrupted([&] { return ::read(STDIN_FILENO, byte.data(), 1); });
        if (got < 0 || (got == 0 && answer.empty()))
            return std::nullopt;
        if (got == 0 || byte[0] == '\n' || byte[0] == '\0') {
            if (text_of(answer.view()).ends_with('\r')) // of a CR LF
                answer.truncate(answer.size() - 1);
            return answer;
        }
        if (!answer.append(byte))
            throw Error(Errc::malformed,
                        "standard input: an answer has at most " + std::to_string(max_answer) + " bytes");
    }
}

} // namespace sshtpm::prompt
