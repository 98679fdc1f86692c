#include "base/log.hpp"

#include "base/printable.hpp"
#include "base/unique_fd.hpp"

#include <atomic>
#include <climits>
#include <csignal>
#include <poll.h>
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

std::atomic<unsigned long> lost_lines = 0; ///< dropped since the last written line

/// True if a line can be written without waiting: a pipe that is ready has space for PIPE_BUF bytes. The
/// agent must not hang because nobody reads its log.
bool may_write() {
    pollfd err{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    return uninterrupted([&] { return ::poll(&err, 1, 0); }) != 0;
}

/// Writes a line in one call, so that lines of two processes do not mix. With SIGTTOU blocked, a terminal
/// takes it from an agent in the background too ("stty tostop"), and does not stop the agent.
void write_out(const std::string& text) {
    if (!may_write()) {
        ++lost_lines;
        return;
    }
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

void write(Level at, std::string_view line) {
    std::string text = settings().program + ": ";
    if (at == Level::error)
        text += "error: ";
    text += line;
    if (text.size() >= PIPE_BUF)
        text.resize(PIPE_BUF - 1);
    text += '\n';
    if (lost_lines > 0 && may_write())
        write_out(settings().program + ": " + std::to_string(lost_lines.exchange(0)) + " lines lost\n");
    write_out(text);
}

void report(const Error& failure, std::string_view consequence) {
    constexpr std::size_t longest = 1000;
    error(printable(failure.what(), longest), consequence);
    if (!failure.hint().empty())
        info("hint: ", failure.hint());
}

} // namespace sshtpm::log
