#include "base/log.hpp"

#include "base/printable.hpp"

#include <atomic>
#include <cerrno>
#include <climits>
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

std::atomic<unsigned long> lost = 0; ///< lines, since the last one that was written

/// Whether a short line goes out at once: a pipe has room for PIPE_BUF bytes then, a terminal is not stopped.
/// What nobody reads must not stop an agent that others wait for.
bool may_write() {
    pollfd err{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    int ready = 0;
    while ((ready = ::poll(&err, 1, 0)) < 0 && errno == EINTR) {
    }
    return ready != 0;
}

/// One write a line, so that two processes on one terminal do not mix; a lost line stops nobody.
void write_out(const std::string& text) {
    if (!may_write()) {
        ++lost;
        return;
    }
    while (::write(STDERR_FILENO, text.data(), text.size()) < 0 && errno == EINTR) {
    }
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
    if (lost > 0 && may_write())
        write_out(settings().program + ": " + std::to_string(lost.exchange(0)) + " lines lost\n");
    write_out(text);
}

void report(const Error& failure, std::string_view consequence) {
    constexpr std::size_t longest = 1000;
    error(printable(failure.what(), longest), consequence);
    if (!failure.hint().empty())
        info("hint: ", failure.hint());
}

} // namespace sshtpm::log
