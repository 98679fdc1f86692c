#include "prompt/askpass.hpp"

#include "prompt/terminal.hpp"
#include "script.hpp"
#include "support/catch.hpp"

#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

using namespace sshtpm;
namespace asio = boost::asio;

namespace {

std::optional<std::string> answer_of(const std::string& program, const std::string& prompt = "PIN: ") {
    asio::io_context loop;
    std::optional<std::string> out;
    asio::co_spawn(loop, prompt::ask_askpass(program, prompt),
                   [&](std::exception_ptr, std::optional<Secret> answer) {
                       if (answer)
                           out = std::string(text_of(answer->view()));
                   });
    loop.run();
    return out;
}

} // namespace

TEST_CASE("an askpass program gets the prompt as its argument, and its output is the answer") {
    CHECK(answer_of(Script("echo \"<$1>\"").path(), "PIN for 'a key': ") == "<PIN for 'a key': >");
}

TEST_CASE("the answer ends with its first line, and nothing else is cut") {
    CHECK(answer_of(Script("printf ' a b \\n\\n'").path()) == " a b ");
    CHECK(answer_of(Script("printf 'abc\\r\\n'").path()) == "abc");
    CHECK(answer_of(Script("printf 'abc'").path()) == "abc");
    CHECK(answer_of(Script("echo").path()) == "");
}

TEST_CASE("an askpass program that fails, or is killed, or is not there, gives no answer") {
    CHECK(answer_of(Script("echo secret; exit 1").path()) == std::nullopt);
    CHECK(answer_of(Script("echo secret; kill -KILL $$").path()) == std::nullopt);
    CHECK(answer_of("/nonexistent/askpass") == std::nullopt);
}

TEST_CASE("an answer may have as many bytes as a secret may, and no more") {
    const Script fits("head -c 1024 /dev/zero | tr '\\0' a"), too_long("head -c 1025 /dev/zero | tr '\\0' a");
    CHECK(answer_of(fits.path()) == std::string(prompt::max_answer, 'a'));
    CHECK(answer_of(too_long.path()) == std::nullopt);
}

TEST_CASE("cancelling an askpass program ends the question and the program") {
    using namespace asio::experimental::awaitable_operators;
    const Script script("exec sleep 600");
    asio::io_context loop;
    bool cancelled = false;
    asio::co_spawn(
        loop,
        [](std::string program, bool& out) -> asio::awaitable<void> {
            asio::steady_timer soon(co_await asio::this_coro::executor, std::chrono::milliseconds(50));
            const auto outcome =
                co_await (prompt::ask_askpass(program, "PIN: ") || soon.async_wait(asio::use_awaitable));
            out = outcome.index() == 1;
        }(script.path(), cancelled),
        [](std::exception_ptr) {});
    loop.run(); // returns only when the child was killed and reaped: it would sleep for ten minutes
    CHECK(cancelled);
}
