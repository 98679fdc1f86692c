// SPDX-License-Identifier: MIT
#include "prompt/askpass.hpp"

#include "os/in_process.hpp"
#include "prompt/terminal.hpp"
#include "script.hpp"
#include "support/catch.hpp"

#include <csignal>
#include <exception>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
namespace asio = boost::asio;

namespace {

std::optional<prompt::Unanswered> why; ///< there was no answer, the last time

std::optional<std::string> answer_of(const std::string& program) {
    asio::io_context loop;
    std::optional<std::string> out;
    asio::co_spawn(loop, prompt::ask_askpass(program, "PIN: "),
                   [&](const std::exception_ptr&, const prompt::Answer& answer) {
                       if (const auto* secret = std::get_if<Secret>(&answer))
                           out = std::string(text_of(secret->view()));
                       else
                           why = std::get<prompt::Unanswered>(answer);
                   });
    loop.run();
    return out;
}

/// Nothing when it throws, which it must not.
std::optional<prompt::Confirmation> verdict_of(const std::string& program) {
    asio::io_context loop;
    std::optional<prompt::Confirmation> out;
    asio::co_spawn(loop, prompt::confirm_askpass(program, "Allow?"),
                   [&](const std::exception_ptr& failure, prompt::Confirmation answer) {
                       if (!failure)
                           out = answer;
                   });
    loop.run();
    return out;
}

} // namespace

TEST_CASE("an askpass program that fails, or is killed, or is not there, gives no answer") {
    CHECK(answer_of(Script("echo secret; exit 1").path()) == std::nullopt);
    CHECK(why == prompt::Unanswered::cancelled);
    CHECK(answer_of(Script("echo secret; kill -KILL $$").path()) == std::nullopt);
    CHECK(why == prompt::Unanswered::failed);
    why.reset();
    CHECK(answer_of("/nonexistent/askpass") == std::nullopt);
    CHECK(why == prompt::Unanswered::failed);
}

TEST_CASE("an answer may have as many bytes as a secret may, and no more") {
    const Script fits("head -c 1024 /dev/zero | tr '\\0' a"), too_long("head -c 1025 /dev/zero | tr '\\0' a");
    CHECK(answer_of(fits.path()) == std::string(prompt::max_answer, 'a'));
    CHECK(answer_of(too_long.path()) == std::nullopt);
}

TEST_CASE("an askpass whose end the system does not tell has confirmed nothing and answered nothing") {
    CHECK(support::in_process([] {
              ::signal(SIGCHLD, SIG_IGN);
              const Script script("exit 1");
              if (verdict_of(script.path()) != prompt::Confirmation::failed)
                  return 1;
              return answer_of(script.path()) ? 2 : 7;
          }) == 7);
}
