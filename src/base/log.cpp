#include "base/log.hpp"

#include <cerrno>
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
    text += '\n';
    // One write a line, so that two processes on one terminal do not mix; a lost log line stops nobody.
    while (::write(STDERR_FILENO, text.data(), text.size()) < 0 && errno == EINTR) {
    }
}

} // namespace sshtpm::log
