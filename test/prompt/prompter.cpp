// SPDX-License-Identifier: MIT
#include "pair.hpp"
#include "support/catch.hpp"
#include "support/variable.hpp"

#include <array>
#include <csignal>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <poll.h>
#include <pty.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using support::Variable;
namespace asio = boost::asio;

namespace {

/// What a person types once the terminal shows something.
struct Typed {
    std::string after, text;
};

/// Runs a process with a terminal of its own, and a person at it. @returns all that the terminal shows;
/// "\r\n" as "\n".
std::string on_terminal(const std::function<void()>& process, const std::vector<Typed>& person) {
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    REQUIRE(pid >= 0);
    if (pid == 0) {
        process();
        ::_exit(0);
    }
    std::string shown;
    std::size_t seen = 0;
    auto next = person.begin();
    for (;;) {
        pollfd wait{.fd = terminal, .events = POLLIN, .revents = 0};
        std::array<char, 256> chunk{};
        const auto got = ::poll(&wait, 1, 10'000) == 1 ? ::read(terminal, chunk.data(), chunk.size()) : 0;
        if (got <= 0) // EIO: the process has ended
            break;
        for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(got)))
            if (c != '\r')
                shown += c;
        if (next == person.end())
            continue;
        if (const auto at = shown.find(next->after, seen); at != std::string::npos) {
            seen = at + next->after.size();
            [[maybe_unused]] const auto written = ::write(terminal, next->text.data(), next->text.size());
            ++next;
        }
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(terminal);
    return shown;
}

void say(std::string_view text) {
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, text.data(), text.size());
}

/// A loop with both sides of a prompter in it, and the questions.
struct Asking {
    std::map<std::string, asio::cancellation_signal> cancel;
    asio::io_context loop;
    std::optional<support::PromptPair> pair{std::in_place, loop.get_executor()};
    int open = 0;

    /// Asks, and shows what came of it as "[name: answer]"; then calls `after`.
    void ask(const std::string& name, const std::function<void()>& after = nullptr) {
        ++open;
        const auto show = [this, name, after](const std::exception_ptr& failure,
                                              const prompt::Answer& answer) {
            const auto* secret = std::get_if<Secret>(&answer);
            say("[" + name + ": " +
                (failure  ? "taken back"
                 : secret ? std::string(text_of(secret->view()))
                          : "nothing") +
                "]\n");
            if (after)
                after();
            if (--open == 0)
                loop.stop();
        };
        asio::co_spawn(loop, pair->client.ask(name + "? "),
                       asio::bind_cancellation_slot(cancel[name].slot(), show));
    }
    void take_back(const std::string& name) { cancel[name].emit(asio::cancellation_type::terminal); }
};

/// What the terminal shows of a process that asks so, and then runs its loop.
std::string shown_of(const std::function<void(Asking&)>& ask, const std::vector<Typed>& person) {
    return on_terminal(
        [&] {
            Asking asking;
            ask(asking);
            asking.loop.run();
        },
        person);
}

/// What the prompter shows, without the agent's "[name: answer]", which come at any time after the answers.
std::string dialogue(std::string shown) {
    for (auto start = shown.find('['); start != std::string::npos; start = shown.find('['))
        shown.erase(start, shown.find('\n', start) + 1 - start);
    return shown;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("two questions on the terminal are never open at once") {
    const auto shown = shown_of(
        [](Asking& asking) {
            for (const auto* name : {"one", "two", "three"})
                asking.ask(name);
        },
        {{"one? ", "1111\n"}, {"two? ", "2222\n"}, {"three? ", "3333\n"}});
    CHECK(dialogue(shown) == "one? \ntwo? \nthree? \n");
    for (const auto* answer : {"[one: 1111]\n", "[two: 2222]\n", "[three: 3333]\n"})
        CHECK(contains(shown, answer));
}

TEST_CASE("a question that is taken back while it waits is never shown, and the next one gets its turn") {
    const auto shown = shown_of(
        [](Asking& asking) {
            for (const auto* name : {"one", "two", "three"})
                asking.ask(name);
            asking.loop.poll(); // "one" is shown
            asking.take_back("two");
        },
        {{"[two: taken back]\n", "1111\n"}, {"three? ", "3333\n"}});
    CHECK(dialogue(shown) == "one? \nthree? \n");
    for (const auto* answer : {"[two: taken back]\n", "[one: 1111]\n", "[three: 3333]\n"})
        CHECK(contains(shown, answer));
}

TEST_CASE("a question that is taken back while it is shown lets the next one in") {
    const auto shown = shown_of(
        [](Asking& asking) {
            asking.ask("one");
            asking.ask("two");
            asking.loop.poll(); // "one" is shown
            asking.take_back("one");
        },
        {{"two? ", "2222\n"}});
    CHECK(dialogue(shown) == "one? \ntwo? \n");
    CHECK(contains(shown, "[one: taken back]\n"));
    CHECK(contains(shown, "[two: 2222]\n"));
}

TEST_CASE("a question that is taken back just as its turn comes gives the turn on") {
    const auto shown = shown_of(
        [](Asking& asking) {
            // The turn of "two" is granted when "one" gives its own back, and its coroutine has not run yet.
            asking.ask("one", [&] { asking.take_back("two"); });
            asking.ask("two");
            asking.ask("three");
        },
        {{"one? ", "1111\n"}, {"three? ", "3333\n"}});
    CHECK_FALSE(contains(shown, "[two: 3333]"));
    CHECK(shown.ends_with("three? \n[three: 3333]\n"));
}

TEST_CASE("a loop that ends takes open and waiting questions with it") {
    const auto shown = shown_of(
        [](Asking& asking) {
            asking.ask("one");
            asking.ask("two");
            asking.loop.poll();
            asking.pair.reset(); // the questions outlive it
            asking.loop.stop();
        },
        {});
    CHECK(shown == "one? \n");
}

TEST_CASE("a prompter confirms through askpass alone, and not on a terminal") {
    const auto shown = on_terminal(
        [] {
            const Variable display("DISPLAY", ""), wayland("WAYLAND_DISPLAY", "");
            asio::io_context loop;
            support::PromptPair pair(loop.get_executor());
            asio::co_spawn(loop, pair.client.confirm("Allow? "),
                           [&](const std::exception_ptr&, prompt::Confirmation outcome) {
                               say(outcome == prompt::Confirmation::nobody ? "[nobody]\n" : "[asked]\n");
                               loop.stop();
                           });
            loop.run();
        },
        {{"Allow? ", "yes\n"}});
    CHECK(shown.find("Allow? ") == std::string::npos);
    CHECK(shown.ends_with("[nobody]\n"));
}
