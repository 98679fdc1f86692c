// SPDX-License-Identifier: MIT
#include "base/log.hpp"

#include "base/printable.hpp"
#include "base/unique_fd.hpp"

#include <atomic>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::log {

namespace {

struct Settings {
    std::string program = "ssh-tpm";
    Level level = Level::info;
};

Settings& settings() {
    static Settings instance;
    return instance;
}

/// True if JOURNAL_STREAM, "DEVICE:INODE" in decimal, names the file that stderr is now.
bool stderr_is_journal() {
    const char* const value = ::getenv("JOURNAL_STREAM");
    struct stat status = {};
    if (value == nullptr || ::fstat(STDERR_FILENO, &status) != 0)
        return false;
    const std::string_view text(value);
    const char* const end = text.data() + text.size();
    dev_t device = 0;
    ino_t inode = 0;
    const auto [colon, failure] = std::from_chars(text.data(), end, device);
    if (failure != std::errc() || colon == end || *colon != ':')
        return false;
    const auto [rest, failed] = std::from_chars(colon + 1, end, inode);
    return failed == std::errc() && rest == end && device == status.st_dev && inode == status.st_ino;
}

std::atomic<unsigned long> lost_lines = 0; ///< dropped since the last written line

/// True if a line can be written without waiting: a pipe that is ready has space for PIPE_BUF bytes. The
/// agent must not hang because nobody reads its log.
bool may_write() {
    pollfd err{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    return uninterrupted([&] { return ::poll(&err, 1, 0); }) != 0;
}

/// Writes a line in one call, so that lines of two processes do not mix. With SIGTTOU blocked, a terminal
/// takes it from an agent in the background too ("stty tostop"), and does not stop the agent.
void write_out(Level level, std::string_view line) {
    if (!may_write()) {
        ++lost_lines;
        return;
    }
    std::string text(journal_prefix(level));
    text += settings().program;
    text += ": ";
    text += line;
    if (text.size() >= PIPE_BUF)
        text.resize(PIPE_BUF - 1);
    text += '\n';
    sigset_t output, before;
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    ::pthread_sigmask(SIG_BLOCK, &output, &before);
    uninterrupted([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace

void configure(std::string program, Level level) {
    settings() = {std::move(program), level};
}

Level level() noexcept {
    return settings().level;
}

const std::string& program() noexcept {
    return settings().program;
}

std::string_view journal_prefix(Level level) {
    if (!stderr_is_journal())
        return {};
    switch (level) {
    case Level::nothing:
        break;
    case Level::error:
        return "<3>";
    case Level::warning:
        return "<4>";
    case Level::info:
        return "<6>";
    case Level::debug:
        return "<7>";
    }
    return {};
}

void write(Level at, std::string_view line) {
    if (lost_lines > 0 && may_write())
        write_out(Level::warning, std::to_string(lost_lines.exchange(0)) + " lines lost");
    std::string text;
    if (at == Level::error)
        text = "error: ";
    else if (at == Level::warning)
        text = "warning: ";
    text += line;
    write_out(at, text);
}

void report(const Error& failure, std::string_view consequence) {
    constexpr std::size_t longest = 1000;
    error(printable(failure.what(), longest), consequence);
    auto hint = printable(failure.hint(), longest);
    std::erase(hint, '`'); // around commands
    if (!hint.empty() && level() >= Level::error)
        write_out(Level::error, "hint: " + hint);
}

} // namespace sshtpm::log
