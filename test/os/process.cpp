// SPDX-License-Identifier: MIT
#include "os/process.hpp"

#include "base/printable.hpp"
#include "os/child.hpp"
#include "support/catch.hpp"

#include <array>
#include <functional>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sshtpm;

namespace {

std::string own_name() {
    std::array<char, 16> name{};
    ::prctl(PR_GET_NAME, name.data());
    return name.data();
}

std::string pid_text(pid_t pid) {
    return " (pid " + std::to_string(pid) + ")";
}

/// Forks a process that calls itself `name` and waits; `look` is called while it does.
void with_process(const std::string& name, const std::function<void(pid_t)>& look) {
    std::array<int, 2> told{}, end{};
    REQUIRE(::pipe(told.data()) == 0);
    REQUIRE(::pipe(end.data()) == 0);
    const pid_t pid = ::fork();
    char byte = 0;
    if (pid == 0) {
        ::close(end[1]);
        ::prctl(PR_SET_NAME, name.c_str());
        const auto said = ::write(told[1], &byte, 1);
        const auto heard = ::read(end[0], &byte, 1);
        ::_exit(said == 1 && heard == 0 ? 0 : 1);
    }
    ::close(end[0]);
    ::close(told[1]);
    const bool ready = ::read(told[0], &byte, 1) == 1;
    if (ready)
        look(pid);
    ::close(end[1]);
    ::close(told[0]);
    ::waitpid(pid, nullptr, 0);
    REQUIRE(ready);
}

} // namespace

TEST_CASE("a pid is a decimal number above 0") {
    CHECK(os::parse_pid("4711") == 4711);
    for (const char* text : {"", "0", "-1", "+1", " 1", "1 ", "1x", "0x1", "99999999999"}) {
        INFO(text);
        CHECK_FALSE(os::parse_pid(text));
    }
}

TEST_CASE("a process that runs has its name as it is, and one that has ended has none") {
    pid_t ended = 0;
    with_process("a (b) c", [&](pid_t pid) {
        CHECK(os::name_of_process(pid) == "a (b) c");
        ended = pid;
    });
    CHECK_FALSE(os::name_of_process(ended));
}

TEST_CASE("systemd is known by its pid or its name") {
    CHECK(os::is_systemd(1));
    CHECK_FALSE(os::is_systemd(::getpid()));
    with_process("systemd", [](pid_t pid) { CHECK(os::is_systemd(pid)); });
    with_process("systemd-logind", [](pid_t pid) { CHECK_FALSE(os::is_systemd(pid)); });
}

TEST_CASE("a process is told by its name and its pid, and so are its parents") {
    with_process("some-client", [](pid_t pid) {
        CHECK(os::describe_process(pid, 0) == "some-client" + pid_text(pid));
        CHECK(os::describe_process(pid, 1) ==
              "some-client" + pid_text(pid) + ", child of " + own_name() + pid_text(::getpid()));
    });
}

TEST_CASE("no more parents are told than asked for, and init is not one") {
    const auto count = [](std::string_view text) {
        unsigned found = 0;
        for (auto at = text.find(", child of "); at != std::string_view::npos;
             at = text.find(", child of ", at + 1))
            ++found;
        return found;
    };
    for (unsigned parents = 0; parents < 20; ++parents) {
        const auto text = os::describe_process(::getpid(), parents);
        CHECK(count(text) <= parents);
        CHECK(text.size() <= 200);
        CHECK(text.find("(pid 1)") == std::string::npos);
    }
    CHECK(count(os::describe_process(1)) == 0);
}

TEST_CASE("a name with parentheses and spaces does not hide the parent") {
    for (const std::string name : {") R 1 (", "a) S 1 1 1 1", "((((", "))))", "a b (c) d", ") ", " "}) {
        INFO(name);
        with_process(name, [&name](pid_t pid) {
            CHECK(os::describe_process(pid, 1) ==
                  name + pid_text(pid) + ", child of " + own_name() + pid_text(::getpid()));
        });
    }
}

TEST_CASE("a name with escapes, newlines or marks that reorder is made printable") {
    with_process("a\x1b[2J\nb\xe2\x80\xae\xff", [](pid_t pid) {
        const auto text = os::describe_process(pid);
        CHECK(is_printable(text));
        CHECK(text.starts_with("a?[2J?b??" + pid_text(pid)));
    });
}

TEST_CASE("a process that has ended is told as that, also while nobody has waited for it") {
    os::Child child({"true"}, {});
    siginfo_t info{};
    // WNOWAIT leaves the zombie there.
    REQUIRE(::waitid(P_PIDFD, static_cast<id_t>(child.pidfd()), &info, WEXITED | WNOWAIT) == 0);
    const pid_t pid = info.si_pid;
    CHECK(os::describe_process(pid) == "a process that has ended" + pid_text(pid));
    REQUIRE(child.wait() == 0);
    CHECK(os::describe_process(pid) == "a process that has ended" + pid_text(pid));
}

TEST_CASE("a peer of another pid namespace has no name") {
    CHECK(os::describe_process(0) == "an unknown process");
    CHECK(os::describe_process(-1) == "an unknown process");
}
