#include "prompt/terminal.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::prompt {

namespace asio = boost::asio;

namespace {

constexpr const char* terminal_path = "/dev/tty";

void show(int terminal, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(terminal, text.data(), text.size());
        if (written < 0 && errno != EINTR)
            return; // a prompt that cannot be shown is seen by the reading that follows
        if (written > 0)
            text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Turns the echo off for as long as it lives.
class EchoOff {
  public:
    explicit EchoOff(int terminal) : terminal_(terminal) {
        if (::tcgetattr(terminal_, &before_) != 0)
            throw Error::from_errno(errno, terminal_path);
        auto silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
        silent.c_lflag |= ICANON;
        if (::tcsetattr(terminal_, TCSAFLUSH, &silent) != 0) // what was typed before the prompt is no answer
            throw Error::from_errno(errno, terminal_path);
    }
    EchoOff(const EchoOff&) = delete;
    EchoOff& operator=(const EchoOff&) = delete;
    ~EchoOff() {
        ::tcsetattr(terminal_, TCSANOW, &before_);
        show(terminal_, "\n"); // the one that was not echoed
    }

  private:
    int terminal_;
    termios before_{};
};

} // namespace

bool terminal_available() {
    const UniqueFd terminal(::open(terminal_path, O_RDWR | O_NOCTTY | O_CLOEXEC));
    return terminal && ::tcgetpgrp(terminal.value()) == ::getpgrp();
}

asio::awaitable<std::optional<Secret>> ask_terminal(std::string prompt) {
    // A description of our own: setting it non-blocking must not touch the one the shell shares.
    UniqueFd opened(::open(terminal_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!opened)
        throw Error::from_errno(errno, terminal_path);
    asio::posix::stream_descriptor terminal(co_await asio::this_coro::executor, opened.release());
    const EchoOff silent(terminal.native_handle()); // first: it drops what was typed before the prompt
    show(terminal.native_handle(), prompt);

    Secret answer(max_answer);
    std::array<std::uint8_t, 256> chunk{};
    std::optional<Secret> out;
    for (bool done = false; !done;) {
        boost::system::error_code failure;
        const auto got = co_await terminal.async_read_some(
            asio::buffer(chunk), asio::redirect_error(asio::use_awaitable, failure));
        const bool fits = answer.append(ByteView(chunk).first(got));
        const bool line_ends = got > 0 && chunk[got - 1] == '\n';
        wipe(chunk);
        done = failure || got == 0 || !fits || line_ends;
        if (!failure && fits && line_ends)
            out = std::move(answer);
    }
    if (out)
        keep_first_line(*out);
    co_return out;
}

} // namespace sshtpm::prompt
