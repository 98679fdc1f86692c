// SPDX-License-Identifier: MIT
#include "prompt/terminal.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "os/signals.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string_view>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

constexpr const char* terminal_path = "/dev/tty";

void show(int terminal, std::string_view text) {
    while (!text.empty()) {
        const auto written = uninterrupted([&] { return ::write(terminal, text.data(), text.size()); });
        if (written < 0)
            return; // a person may still answer
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Opens the controlling terminal, else the terminal of standard input. That is opened a second time, because
/// making standard input itself non-blocking would affect the shell, which shares it.
UniqueFd open_terminal() {
    constexpr int flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    UniqueFd terminal(::open(terminal_path, flags));
    if (!terminal && ::isatty(STDIN_FILENO) == 1)
        terminal.reset(::open("/proc/self/fd/0", flags));
    if (!terminal)
        throw Error::from_errno(errno, terminal_path);
    return terminal;
}

/// False if reading would stop this process.
bool may_read(int terminal) {
    const pid_t foreground = ::tcgetpgrp(terminal);
    return foreground == ::getpgrp() ||
           (foreground < 0 && errno == ENOTTY); // not the controlling terminal: any process may read
}

/// Turns the echo off for the lifetime of the object.
class EchoOff {
  public:
    explicit EchoOff(int terminal) : terminal_(terminal) {
        if (::tcgetattr(terminal_, &before_) != 0)
            throw Error::from_errno(errno, terminal_path);
        silent_ = before_;
        silent_.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
        silent_.c_lflag |= ICANON;
        if (uninterrupted([&] { return ::tcsetattr(terminal_, TCSANOW, &silent_); }) != 0)
            throw Error::from_errno(errno, terminal_path);
        ::tcflush(terminal_, TCIFLUSH); // drops input from before the question
    }
    EchoOff(const EchoOff&) = delete;
    EchoOff& operator=(const EchoOff&) = delete;
    /// Restores the modes unless they have changed: a shell that has taken the terminal back may have set
    /// others.
    ~EchoOff() {
        termios now{};
        if (::tcgetattr(terminal_, &now) != 0 || now.c_lflag != silent_.c_lflag)
            return;
        const os::BlockedSignals blocked{SIGTTOU}; // a background process may set the modes too
        if (may_read(terminal_))                   // a half-typed secret must not reach the next reader
            ::tcflush(terminal_, TCIFLUSH);
        ::tcsetattr(terminal_, TCSANOW, &before_);
        show(terminal_, "\n"); // the typed newline was not echoed
    }

  private:
    int terminal_;
    termios before_{}, silent_{};
};

asio::awaitable<TerminalAnswer> read_line(asio::posix::stream_descriptor& terminal) {
    Secret line(max_answer + 1);
    for (;;) {
        boost::system::error_code failure;
        co_await terminal.async_wait(asio::posix::stream_descriptor::wait_read,
                                     asio::redirect_error(asio::use_awaitable, failure));
        if (failure)
            co_return TerminalAnswer{};
        if (!may_read(terminal.native_handle()))
            co_return TerminalAnswer{.stopped_by = SIGCONT};
        // Asio's read would repeat the call after EINTR instead of handling the signal.
        const auto got = ::read(terminal.native_handle(), line.room().data(), line.room().size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            co_return TerminalAnswer{};
        line.grow(static_cast<std::size_t>(got));
        if (line.size() > max_answer) {
            log::error("the terminal: an answer has at most ", max_answer, " bytes");
            co_return TerminalAnswer{.answer = Unanswered::failed};
        }
        if (line.view().back() != '\n')
            continue;
        keep_first_line(line);
        co_return TerminalAnswer{.answer = std::move(line)};
    }
}

} // namespace

bool terminal_available() {
    const UniqueFd terminal(::open(terminal_path, O_RDWR | O_NOCTTY | O_CLOEXEC));
    return terminal && may_read(terminal.value());
}

void wait_for_foreground() {
    const auto terminal = open_terminal();
    // tcflow(3) stops a process in the background, and changes nothing in the foreground. tcflush(3) would
    // drop input.
    if (uninterrupted([&] { return ::tcflow(terminal.value(), TCOON); }) != 0)
        throw Error::from_errno(errno, terminal_path);
}

asio::awaitable<TerminalAnswer> ask_terminal(std::string question) {
    asio::posix::stream_descriptor terminal(co_await asio::this_coro::executor, open_terminal().release());
    const EchoOff silent(terminal.native_handle());
    if (!may_read(terminal.native_handle())) // lost in this moment
        co_return TerminalAnswer{.stopped_by = SIGCONT};
    show(terminal.native_handle(), question);
    co_return co_await read_line(terminal);
}

asio::awaitable<TerminalAnswer> ask_terminal_until_stopped(std::string question) {
    using namespace asio::experimental::awaitable_operators;
    const auto loop = co_await asio::this_coro::executor;
    asio::posix::stream_descriptor terminal(loop, open_terminal().release());
    asio::signal_set stops(loop, SIGTSTP);
    const EchoOff silent(terminal.native_handle());
    // Handled only from here on: before, these signals must stop a program that has just lost the foreground.
    for (const int number : {SIGTTIN, SIGTTOU, SIGCONT})
        stops.add(number);
    show(terminal.native_handle(), question);
    auto outcome = co_await (read_line(terminal) || stops.async_wait(asio::use_awaitable));
    if (auto* answer = std::get_if<0>(&outcome))
        co_return std::move(*answer);
    co_return TerminalAnswer{.stopped_by = std::get<1>(outcome)};
}

} // namespace sshtpm::prompt
