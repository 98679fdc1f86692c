#include "prompt/confirm.hpp"

#include "os/in_process.hpp"
#include "prompt/askpass.hpp"
#include "script.hpp"
#include "support/catch.hpp"
#include "support/variable.hpp"

#include <csignal>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/stat.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

using namespace sshtpm;
using prompt::Confirmation;
using support::Variable;
namespace asio = boost::asio;

namespace {

/// Nothing when it throws, which it must not.
std::optional<Confirmation> verdict(asio::awaitable<Confirmation> question) {
    asio::io_context loop;
    std::optional<Confirmation> out;
    asio::co_spawn(loop, std::move(question), [&](const std::exception_ptr& failure, Confirmation answer) {
        if (!failure)
            out = answer;
    });
    loop.run();
    return out;
}

std::optional<Confirmation> verdict_of(const std::string& body) {
    return verdict(prompt::confirm_askpass(Script(body).path(), "Allow?"));
}

} // namespace

TEST_CASE("an askpass that exits with 0 and prints nothing or yes has confirmed") {
    CHECK(verdict_of("exit 0") == Confirmation::yes);
    CHECK(verdict_of("echo") == Confirmation::yes);
    CHECK(verdict_of("echo yes") == Confirmation::yes);
    CHECK(verdict_of("printf YES") == Confirmation::yes);
}

TEST_CASE("an askpass that says something else or ends with another status has been told no") {
    CHECK(verdict_of("echo no") == Confirmation::no);
    CHECK(verdict_of("echo y") == Confirmation::no);
    CHECK(verdict_of("exit 1") == Confirmation::no);
    CHECK(verdict_of("echo yes; exit 1") == Confirmation::no);
    CHECK(verdict_of("exit 255") == Confirmation::no);
}

TEST_CASE("an askpass that is killed, is not there, finds no program to run or says too much has failed") {
    CHECK(verdict_of("echo yes; kill -KILL $$") == Confirmation::failed);
    CHECK(verdict_of("kill -TERM $$") == Confirmation::failed);
    CHECK(verdict_of("exec /nonexistent/askpass") == Confirmation::failed);
    CHECK(verdict_of("head -c 100000 /dev/zero") == Confirmation::failed);
    CHECK(verdict(prompt::confirm_askpass("/nonexistent/askpass", "Allow?")) == Confirmation::failed);
}

TEST_CASE("an askpass whose end the system does not tell has confirmed nothing and answered nothing") {
    CHECK(support::in_process([] {
              ::signal(SIGCHLD, SIG_IGN);
              if (verdict_of("exit 1") != Confirmation::failed)
                  return 1;
              asio::io_context loop;
              bool answered = true;
              const Script cancelled("exit 1");
              asio::co_spawn(loop, prompt::ask_askpass(cancelled.path(), "PIN: "),
                             [&](const std::exception_ptr&, const std::optional<Secret>& answer) {
                                 answered = answer.has_value();
                             });
              loop.run();
              return answered ? 2 : 7;
          }) == 7);
}

TEST_CASE("an askpass knows that it is asked to confirm, and what") {
    CHECK(verdict_of("[ \"$SSH_ASKPASS_PROMPT\" = confirm ] && [ \"$1\" = 'Allow?' ]") == Confirmation::yes);
    const Variable inherited("SSH_ASKPASS_PROMPT", "none");
    CHECK(verdict_of("[ \"$SSH_ASKPASS_PROMPT\" = confirm ]") == Confirmation::yes);
}

TEST_CASE("an askpass that is asked for a PIN is not told to confirm, whatever we have inherited") {
    const Variable inherited("SSH_ASKPASS_PROMPT", "confirm");
    const Script script("echo \"<${SSH_ASKPASS_PROMPT-none}>\"");
    asio::io_context loop;
    std::string answer;
    asio::co_spawn(loop, prompt::ask_askpass(script.path(), "PIN: "),
                   [&](const std::exception_ptr&, std::optional<Secret> secret) {
                       if (secret)
                           answer = text_of(secret->view());
                   });
    loop.run();
    CHECK(answer == "<none>");
}

TEST_CASE("a question is put through askpass where there is a display, or it is forced") {
    const Script yes("exit 0");
    const Variable program("SSH_ASKPASS", yes.path().c_str());
    const auto confirmed = [](const char* display, const char* wayland, const char* require) {
        const Variable x("DISPLAY", display), w("WAYLAND_DISPLAY", wayland),
            r("SSH_ASKPASS_REQUIRE", require);
        return verdict(prompt::confirm("Allow?"));
    };
    CHECK(confirmed(":0", "", "") == Confirmation::yes);
    CHECK(confirmed("", "wayland-0", "") == Confirmation::yes);
    CHECK(confirmed("", "", "force") == Confirmation::yes);
    CHECK(confirmed("", "", "") == Confirmation::nobody);
    CHECK(confirmed("", "", "prefer") == Confirmation::nobody);
    CHECK(confirmed(":0", "", "never") == Confirmation::nobody);
}

TEST_CASE("cancelling a confirmation kills the askpass and is no yes") {
    // It tells through a FIFO that it runs, and sleeps for ten minutes: the loop ends only when it is killed.
    const support::TempFolder folder;
    const auto fifo = (folder / "fifo").string();
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const Script script("echo > '" + fifo + "'; exec sleep 600");
    asio::io_context loop;
    asio::cancellation_signal cancel;
    asio::posix::stream_descriptor running(loop, ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    running.async_wait(asio::posix::stream_descriptor::wait_read, [&](const boost::system::error_code&) {
        cancel.emit(asio::cancellation_type::terminal);
    });
    std::optional<Confirmation> answer;
    asio::co_spawn(loop, prompt::confirm_askpass(script.path(), "Allow?"),
                   asio::bind_cancellation_slot(cancel.slot(),
                                                [&](const std::exception_ptr& failure, Confirmation outcome) {
                                                    answer = failure ? Confirmation::unanswered : outcome;
                                                }));
    loop.run();
    CHECK(answer != Confirmation::yes);
}
