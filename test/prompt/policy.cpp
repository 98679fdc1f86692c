// SPDX-License-Identifier: MIT
#include "prompt/ask.hpp"
#include "support/catch.hpp"

using namespace sshtpm::prompt;

TEST_CASE("who asks follows from what there is, as with OpenSSH") {
    struct Row {
        Program program;
        Circumstances there;
        Asker asker;
    };
    constexpr auto agent = Program::agent, tool = Program::tool;
    const Row rows[] = {
        // An agent asks on its terminal first, as ssh does; without one through askpass if there is a
        // display.
        {agent, {.display = true, .terminal = true}, Asker::terminal},
        {agent, {.terminal = true}, Asker::terminal},
        {agent, {.display = true}, Asker::askpass},
        {agent, {}, Asker::nobody},
        // "prefer" takes askpass before the terminal, where there is a display.
        {agent, {.display = true, .askpass_require = "prefer", .terminal = true}, Asker::askpass},
        {agent, {.askpass_require = "prefer", .terminal = true}, Asker::terminal},
        // "force" takes askpass whatever there is.
        {agent, {.askpass_require = "force", .terminal = true}, Asker::askpass},
        {agent, {.askpass_require = "FORCE"}, Asker::askpass},
        {tool, {.askpass_require = "force", .stdin_terminal = true}, Asker::askpass},
        // With "never" the terminal asks, or nobody does. An unknown word changes nothing.
        {agent, {.display = true, .askpass_require = "never", .terminal = true}, Asker::terminal},
        {agent, {.display = true, .askpass_require = "never"}, Asker::nobody},
        {agent, {.display = true, .askpass_require = "always", .terminal = true}, Asker::terminal},
        // A tool with a piped standard input asks through askpass, the terminal, or reads the pipe.
        {tool, {.display = true, .terminal = true}, Asker::askpass},
        {tool, {.terminal = true}, Asker::terminal},
        {tool, {}, Asker::standard_input},
        // A tool at a terminal asks there, in the background when its turn comes; an agent does not.
        {tool, {.display = true, .terminal = true, .stdin_terminal = true}, Asker::terminal},
        {tool, {.stdin_terminal = true}, Asker::terminal},
        {agent, {.stdin_terminal = true}, Asker::nobody},
    };
    for (const auto& row : rows) {
        INFO("row " << &row - rows);
        CHECK(choose_asker(row.there, row.program) == row.asker);
    }
}
