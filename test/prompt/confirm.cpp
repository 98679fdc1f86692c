#include "prompt/confirm.hpp"

#include "prompt/askpass.hpp"
#include "script.hpp"
#include "support/catch.hpp"
#include "support/variable.hpp"

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
using support::Variable;
namespace asio = boost::asio;

namespace {

/// Nothing when it throws, which it must not.
std::optional<bool> verdict(asio::awaitable<bool> question) {
    asio::io_context loop;
    std::optional<bool> out;
    asio::co_spawn(loop, std::move(question), [&](const std::exception_ptr& failure, bool answer) {
        if (!failure)
            out = answer;
    });
    loop.run();
    return out;
}

std::optional<bool> verdict_of(const std::string& body) {
    return verdict(prompt::confirm_askpass(Script(body).path(), "Allow?"));
}

} // namespace

TEST_CASE("an askpass that exits with 0 and prints nothing or yes has confirmed") {
    CHECK(verdict_of("exit 0") == true);
    CHECK(verdict_of("echo") == true);
    CHECK(verdict_of("echo yes") == true);
    CHECK(verdict_of("printf YES") == true);
}

TEST_CASE("an askpass that says something else, fails, is killed or is not there has not") {
    CHECK(verdict_of("echo no") == false);
    CHECK(verdict_of("echo y") == false);
    CHECK(verdict_of("echo yes; exit 1") == false);
    CHECK(verdict_of("exit 255") == false);
    CHECK(verdict_of("echo yes; kill -KILL $$") == false);
    CHECK(verdict_of("kill -TERM $$") == false);
    CHECK(verdict_of("head -c 100000 /dev/zero") == false);
    CHECK(verdict(prompt::confirm_askpass("/nonexistent/askpass", "Allow?")) == false);
}

TEST_CASE("an askpass knows that it is asked to confirm, and what") {
    CHECK(verdict_of("[ \"$SSH_ASKPASS_PROMPT\" = confirm ] && [ \"$1\" = 'Allow?' ]") == true);
    const Variable inherited("SSH_ASKPASS_PROMPT", "none");
    CHECK(verdict_of("[ \"$SSH_ASKPASS_PROMPT\" = confirm ]") == true);
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
    CHECK(confirmed(":0", "", "") == true);
    CHECK(confirmed("", "wayland-0", "") == true);
    CHECK(confirmed("", "", "force") == true);
    CHECK(confirmed("", "", "") == false);
    CHECK(confirmed("", "", "prefer") == false);
    CHECK(confirmed(":0", "", "never") == false);
}

TEST_CASE("cancelling a confirmation kills the askpass and is a no") {
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
    std::optional<bool> answer;
    asio::co_spawn(loop, prompt::confirm_askpass(script.path(), "Allow?"),
                   asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr& failure,
                                                                   bool yes) { answer = !failure && yes; }));
    loop.run();
    CHECK(answer == false);
}
