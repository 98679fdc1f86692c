#include "agent/auth_source.hpp"

#include "agent/identities.hpp"
#include "prompt/script.hpp"
#include "support/catch.hpp"
#include "support/variable.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

using namespace sshtpm;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

/// A person who never answers. A run of the loop returns when their window is closed.
class Silence {
  public:
    Silence() : askpass_("SSH_ASKPASS", script_.path().c_str()), require_("SSH_ASKPASS_REQUIRE", "force") {}

  private:
    Script script_{"exec sleep 600"};
    support::Variable askpass_, require_;
};

struct Answers {
    std::optional<bool> pin; ///< whether there was one
    std::optional<prompt::Confirmation> confirmed;
};

Answers ask_both(asio::io_context& loop, agent::AuthSource& source) {
    Answers answers;
    asio::co_spawn(loop, source.ask("PIN? "),
                   [&](const std::exception_ptr&, const std::optional<tpm::Auth>& pin) {
                       answers.pin = pin.has_value();
                   });
    asio::co_spawn(
        loop, source.confirm("Allow? ", 1),
        [&](const std::exception_ptr&, prompt::Confirmation outcome) { answers.confirmed = outcome; });
    loop.run();
    return answers;
}

} // namespace

TEST_CASE("no answer in time is a no, and the time is two minutes") {
    CHECK(TimeLimits().answer == 120s);
    const Silence person;
    asio::io_context loop(1);
    agent::PinCache pins(agent::PinLifetime{});
    agent::AuthSource source(loop.get_executor(), pins, 50ms);
    const auto answers = ask_both(loop, source);
    CHECK(answers.pin == false);
    CHECK(answers.confirmed == prompt::Confirmation::unanswered);
}
