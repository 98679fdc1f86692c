#include "prompt/policy.hpp"

#include "os/environment.hpp"
#include "prompt/terminal.hpp"

#include <strings.h>
#include <unistd.h>

namespace sshtpm::prompt {

namespace {

enum class Require { nothing, never, prefer, force };

Require parse_require(const std::optional<std::string>& word) {
    const auto is = [&](const char* other) { return word && ::strcasecmp(word->c_str(), other) == 0; };
    return is("force")    ? Require::force
           : is("prefer") ? Require::prefer
           : is("never")  ? Require::never
                          : Require::nothing;
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
    // In the background, a tool is stopped there until it may ask; read as a line, its secret would be shown.
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

} // namespace sshtpm::prompt
