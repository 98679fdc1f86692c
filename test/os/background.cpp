#include "os/background.hpp"

#include "base/error.hpp"
#include "os/harden.hpp"
#include "os/in_process.hpp"
#include "support/test.hpp"

#include <array>
#include <csignal>
#include <functional>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;

namespace {

os::BackgroundParent start(const std::function<void(os::BackgroundChild&)>& in_child) {
    auto forked = os::fork_to_background();
    if (auto* child = std::get_if<os::BackgroundChild>(&forked)) {
        try {
            in_child(*child);
        } catch (const Error&) {
            ::_exit(90);
        }
        ::_exit(0);
    }
    return std::get<os::BackgroundParent>(std::move(forked));
}

std::string target_of(int fd) {
    std::array<char, 256> target{};
    const auto size =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
    return size < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

} // namespace

TEST_CASE("a parent waits until its child is ready, and knows its pid") {
    Pipe said;
    auto parent = start([&](os::BackgroundChild& child) {
        said.say(std::to_string(::getpid()));
        child.ready();
    });
    CHECK(parent.wait_until_ready() == std::nullopt);
    parent.let_live();
    CHECK(said.heard() == std::to_string(parent.child()));
    CHECK(::waitpid(parent.child(), nullptr, 0) == parent.child());
}

TEST_CASE("a child that ends before it is ready has failed, whatever its exit status") {
    CHECK(start([](os::BackgroundChild&) { ::_exit(3); }).wait_until_ready() == 3);
    CHECK(start([](os::BackgroundChild&) { ::_exit(0); }).wait_until_ready() == 1);
    CHECK(start([](os::BackgroundChild&) { ::raise(SIGKILL); }).wait_until_ready() == 128 + SIGKILL);
}

TEST_CASE("a grandchild that lives on does not hide that the child has failed") {
    Pipe hold;
    auto parent = start([&](os::BackgroundChild&) {
        if (::fork() == 0) { // with the child's end of the socket
            hold.writing.reset();
            char byte = 0;
            ::_exit(::read(hold.reading.value(), &byte, 1) == 0 ? 0 : 1);
        }
        ::_exit(4);
    });
    CHECK(parent.wait_until_ready() == 4);
}

TEST_CASE("a child has a session of its own, stands in / and has let go of stdin and stdout") {
    Pipe said;
    const auto stderr_before = target_of(STDERR_FILENO);
    auto parent = start([&](os::BackgroundChild& child) {
        std::array<char, 256> folder{};
        const std::string where = ::getcwd(folder.data(), folder.size()) != nullptr ? folder.data() : "";
        said.say(where + " " + (::getsid(0) == ::getpid() ? "own " : "inherited ") + target_of(STDIN_FILENO) +
                 " " + target_of(STDOUT_FILENO) + " " +
                 (target_of(STDERR_FILENO) == stderr_before ? "kept" : target_of(STDERR_FILENO)) + "\n");
        child.ready();
        said.say(target_of(STDERR_FILENO));
    });
    CHECK(parent.wait_until_ready() == std::nullopt);
    parent.let_live();
    CHECK(said.heard() == "/ own /dev/null /dev/null kept\n/dev/null");
    CHECK(::waitpid(parent.child(), nullptr, 0) == parent.child());
}

TEST_CASE("a child is told when its parent ends, and not before") {
    Pipe said, hold;
    const int status = in_process([&] {
        auto parent = start([&](os::BackgroundChild& child) {
            hold.writing.reset();
            pollfd ended{.fd = child.parent_pidfd(), .events = POLLIN, .revents = 0};
            said.say(::poll(&ended, 1, 0) == 0 ? "alive " : "gone ");
            child.ready();
            said.say(::poll(&ended, 1, 10'000) == 1 ? "ended" : "nothing");
        });
        if (parent.wait_until_ready())
            return 1;
        parent.let_live();
        return 7;
    });
    CHECK(status == 7);
    CHECK(said.heard() == "alive ended");
}

TEST_CASE("a child that is ready does not live on when its parent ends without telling anybody of it") {
    Pipe said;
    const auto end_as_told = [&](os::BackgroundChild& child) {
        try {
            child.ready();
            said.say("lives on");
        } catch (const Error& error) {
            said.say(error.what());
        }
    };
    SECTION("because the parent was killed") {
        CHECK(in_process([&] {
                  auto parent = start(end_as_told);
                  if (parent.wait_until_ready())
                      return 1;
                  return ::raise(SIGKILL);
              }) == 128 + SIGKILL);
    }
    SECTION("because the parent wants it so, and waits for it") {
        auto parent = start(end_as_told);
        CHECK(parent.wait_until_ready() == std::nullopt);
        parent.let_end();
        CHECK(::kill(parent.child(), 0) == -1);
    }
    CHECK(said.heard() == "the process that started this one has ended");
}

TEST_CASE("a child that has ended cannot be let live") {
    auto parent = start([](os::BackgroundChild& child) {
        child.ready();
        ::_exit(0);
    });
    CHECK(parent.wait_until_ready() == std::nullopt);
    ::kill(parent.child(), SIGKILL);
    REQUIRE(::waitpid(parent.child(), nullptr, 0) == parent.child());
    CHECK_THROWS_AS(parent.let_live(), Error);
}

TEST_CASE("a child whose parent is gone before it is ready is told so") {
    Pipe said;
    in_process([&] {
        start([&](os::BackgroundChild& child) {
            ::signal(SIGPIPE, SIG_IGN);
            pollfd ended{.fd = child.parent_pidfd(), .events = POLLIN, .revents = 0};
            ::poll(&ended, 1, 10'000);
            try {
                child.ready();
            } catch (const Error& error) {
                said.say(error.what());
            }
        });
        return 0;
    });
    CHECK(said.heard() == "the process that started this one has ended");
}

TEST_CASE("a command is searched in PATH, has its variables, and no descriptor of ours") {
    // Those that whoever runs the tests has left open stay, and no others come.
    const std::string list = "ls /proc/$$/fd; true";
    Pipe found, said;
    in_process([&] {
        ::dup2(found.writing.value(), STDOUT_FILENO);
        return ::execlp("sh", "sh", "-c", list.c_str(), nullptr);
    });
    const int status = in_process([&] {
        auto parent = start([&](os::BackgroundChild& child) {
            said.writing.reset();
            child.ready();
            pollfd ended{.fd = child.parent_pidfd(), .events = POLLIN, .revents = 0};
            ::poll(&ended, 1, 10'000);
        });
        if (parent.wait_until_ready())
            return 1;
        parent.let_live();
        ::dup2(said.writing.value(), STDOUT_FILENO);
        os::become_command({"sh", "-c", "echo \"$SSH_AUTH_SOCK $1\"; " + list + "; exit 5", "sh", "x y"},
                           {"SSH_AUTH_SOCK=/a/socket"});
        return 2;
    });
    CHECK(status == 5);
    CHECK(said.heard() == "/a/socket x y\n" + found.heard());
}

TEST_CASE("a command gets back the limits, the umask and the variables that hardening took") {
    Pipe said;
    const int status = in_process([&] {
        rlimit core{};
        ::getrlimit(RLIMIT_CORE, &core);
        core.rlim_cur = core.rlim_max;
        ::setrlimit(RLIMIT_CORE, &core);
        ::umask(027);
        ::setenv("TSS2_LOG", "all+error", 1);
        ::unsetenv("TSS2_LOGFILE");
        const auto expected =
            core.rlim_max == RLIM_INFINITY ? "unlimited" : std::to_string(core.rlim_max / 512);
        os::harden_process();
        ::dup2(said.writing.value(), STDOUT_FILENO);
        os::become_command(
            {"sh", "-c",
             "[ \"$(ulimit -c)\" = \"$1\" ] && echo core; umask; echo $TSS2_LOG ${TSS2_LOGFILE-none}", "sh",
             expected},
            {});
        return 2;
    });
    CHECK(status == 0);
    CHECK(said.heard() == "core\n0027\nall+error none\n");
}

TEST_CASE("a command has the signals ignored and blocked that the parent left so, and no others") {
    Pipe said;
    const int status = in_process([&] {
        os::undo_harden_before_exec(); // of a test before, in this same process
        for (int number = 1; number < NSIG; ++number)
            ::signal(number, number == SIGHUP || number == SIGCHLD ? SIG_IGN : SIG_DFL);
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR2);
        ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
        os::harden_process();
        ::dup2(said.writing.value(), STDOUT_FILENO);
        os::become_command({"grep", "-E", "SigBlk|SigIgn", "/proc/self/status"}, {});
        return 2;
    });
    CHECK(status == 0);
    CHECK(said.heard() == "SigBlk:\t0000000000000800\nSigIgn:\t0000000000010001\n");
}

TEST_CASE("a command that cannot be run is an error") {
    const TempFolder folder;
    const auto status_with = [](const std::string& program) {
        return in_process([&] {
            ::setenv("PATH", "/usr/bin:/bin", 1); // a folder in it that may not be read is another error
            os::become_command({program}, {});
            return 0;
        });
    };
    CHECK(status_with("no-such-command-anywhere") == status_of_error(Errc::not_found));
    CHECK(status_with(folder.path().string()) == status_of_error(Errc::permission));
}
