#include "prompt/policy.hpp"

#include "support/catch.hpp"

using namespace sshtpm::prompt;

TEST_CASE("an agent asks on its terminal first, as ssh does") {
    CHECK(choose_asker({.display = true, .terminal = true}, Program::agent) == Asker::terminal);
    CHECK(choose_asker({.display = false, .terminal = true}, Program::agent) == Asker::terminal);
}

TEST_CASE("an agent without a terminal asks through askpass if there is a display") {
    CHECK(choose_asker({.display = true}, Program::agent) == Asker::askpass);
    CHECK(choose_asker({.display = false}, Program::agent) == Asker::nobody);
}

TEST_CASE("SSH_ASKPASS_REQUIRE=prefer takes askpass before the terminal, where there is a display") {
    CHECK(choose_asker({.display = true, .askpass_require = "prefer", .terminal = true}, Program::agent) ==
          Asker::askpass);
    CHECK(choose_asker({.display = false, .askpass_require = "prefer", .terminal = true}, Program::agent) ==
          Asker::terminal);
}

TEST_CASE("SSH_ASKPASS_REQUIRE=force takes askpass whatever there is") {
    CHECK(choose_asker({.askpass_require = "force", .terminal = true}, Program::agent) == Asker::askpass);
    CHECK(choose_asker({.askpass_require = "FORCE"}, Program::agent) == Asker::askpass);
    CHECK(choose_asker({.askpass_require = "force", .stdin_terminal = true}, Program::tool) ==
          Asker::askpass);
}

TEST_CASE("SSH_ASKPASS_REQUIRE=never leaves the terminal or nobody") {
    CHECK(choose_asker({.display = true, .askpass_require = "never", .terminal = true}, Program::agent) ==
          Asker::terminal);
    CHECK(choose_asker({.display = true, .askpass_require = "never"}, Program::agent) == Asker::nobody);
}

TEST_CASE("an unknown word in SSH_ASKPASS_REQUIRE changes nothing") {
    CHECK(choose_asker({.display = true, .askpass_require = "always", .terminal = true}, Program::agent) ==
          Asker::terminal);
}

TEST_CASE("a tool with a piped standard input asks through askpass, the terminal, or reads the pipe") {
    CHECK(choose_asker({.display = true, .terminal = true}, Program::tool) == Asker::askpass);
    CHECK(choose_asker({.terminal = true}, Program::tool) == Asker::terminal);
    CHECK(choose_asker({}, Program::tool) == Asker::standard_input);
}

TEST_CASE("a tool at a terminal asks there") {
    CHECK(choose_asker({.display = true, .terminal = true, .stdin_terminal = true}, Program::tool) ==
          Asker::terminal);
}

TEST_CASE("a tool in the background of its terminal asks there when its turn comes, and an agent does not") {
    CHECK(choose_asker({.stdin_terminal = true}, Program::tool) == Asker::terminal);
    CHECK(choose_asker({.stdin_terminal = true}, Program::agent) == Asker::nobody);
}
