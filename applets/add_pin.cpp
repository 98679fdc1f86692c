// ssh-tpm-add --pin: the PIN is asked for here, and the TPM tries it, before a key counts as added.

#include "applets/add_files.hpp"
#include "applets/keygen_dialogue.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "prompt/ask.hpp"
#include "protocol/message.hpp"
#include "tpm/session.hpp"

#include <algorithm>

namespace sshtpm::applets {

namespace {

/// Asked before the person is: another agent must not even see the PIN.
void require_extension(protocol::Client& agent) {
    agent.require_trusted_agent();
    std::vector<std::string> names;
    try { // caught because many agents know no such question
        names = agent.query();
    } catch (const Error& error) {
        if (error.code() != Errc::refused)
            throw;
    }
    if (std::ranges::find(names, protocol::extension::tpm_try_pin) == names.end())
        throw Error(Errc::unsupported, "this agent tries no PINs",
                    "--pin is for ssh-tpm-agent, unlocked and on this machine");
}

std::string question(const PinAddition& addition, std::optional<std::uint32_t> tries_left, bool again) {
    const auto& key = addition.key;
    std::string text(again ? "Wrong PIN. " : "");
    if (tries_left == 1U)
        text.append("LAST TRY: a wrong PIN locks the TPM. ");
    else if (again && tries_left)
        text.append(std::to_string(*tries_left)).append(" tries left. ");
    text.append("Enter PIN for ").append(printable(key.shown));
    text.append(" (").append(printable(key.identity.comment)).append(")");
    return text.append(addition.confirm ? " (will confirm each use)" : "").append(": ");
}

Secret ask_pin(const std::string& text) {
    auto pin = prompt::ask_and_wait(text, prompt::Program::tool);
    if (!pin || pin->empty())
        throw Error(Errc::refused, "no PIN was given");
    if (pin->size() > tpm::max_pin)
        throw Error(Errc::usage, "a PIN has at most " + std::to_string(tpm::max_pin) + " bytes");
    return std::move(*pin);
}

bool is_right(protocol::PinOutcome outcome) {
    return outcome == protocol::PinOutcome::kept || outcome == protocol::PinOutcome::not_kept;
}

/// The key in the agent while a PIN is tried: one that was there before stays as it was, another is there for
/// no longer than that.
class Trial {
  public:
    Trial(protocol::Client& agent, const PinAddition& addition)
        : agent_(agent), addition_(addition), blob_(addition.key.identity.public_key.blob()),
          was_there_(listed(agent.list(), blob_)) {}

    /// @param pin empty: only the tries that are left are asked for.
    protocol::PinResult operator()(const Secret& pin) const {
        try { // caught to leave the agent as it was
            if (!was_there_)
                addition_.add();
            auto result = agent_.try_pin(blob_, pin);
            result.text = printable(result.text);
            if (!is_right(result.outcome))
                withdraw();
            return result;
        } catch (const Error&) {
            withdraw();
            throw;
        }
    }

    /// The PIN was right: the key is added with what is demanded of it now.
    void finish(const Secret& pin) const {
        if (!was_there_)
            return;
        addition_.add();
        (void)agent_.try_pin(blob_, pin); // of another file of the same key the agent knows no PIN
    }

  private:
    void withdraw() const noexcept {
        if (was_there_)
            return;
        try { // caught because another failure may be on its way to be told
            agent_.remove(blob_);
        } catch (const std::exception& error) {
            log::debug("the key could not be removed again: ", error.what());
        }
    }

    protocol::Client& agent_;
    const PinAddition& addition_;
    ByteView blob_;
    bool was_there_;
};

void require_tries(const protocol::PinResult& result) {
    if (result.outcome == protocol::PinOutcome::lockout || result.tries_left == 0U)
        throw Error(Errc::lockout, "the TPM is in lockout and takes no PIN", result.text);
}

/// The question says that it is the last try: somebody must be there to read it.
void require_person(const protocol::PinResult& result) {
    const auto asker = prompt::choose_asker(prompt::current_circumstances(), prompt::Program::tool);
    if (result.tries_left == 1U && asker == prompt::Asker::standard_input)
        throw Error(Errc::refused, last_try_unasked, "run this at a terminal, or where askpass can ask");
}

} // namespace

void add_with_pin(protocol::Client& agent, const PinAddition& addition) {
    require_extension(agent);
    const Trial trial(agent, addition);
    auto result = trial(Secret());
    for (int tries = 0; tries < most_tries && !is_right(result.outcome); ++tries) {
        require_tries(result);
        require_person(result);
        const bool again = result.outcome == protocol::PinOutcome::wrong;
        const auto pin = ask_pin(question(addition, result.tries_left, again));
        result = trial(pin);
        if (is_right(result.outcome))
            trial.finish(pin);
    }
    require_tries(result);
    if (result.outcome == protocol::PinOutcome::wrong)
        throw Error(Errc::auth, "the PIN is wrong", result.text);
    if (!is_right(result.outcome)) // somebody else spends tries meanwhile
        throw Error(Errc::refused, "the agent did not try the PIN", result.text);
    if (result.outcome == protocol::PinOutcome::not_kept)
        log::info("the PIN is right, and the agent will ask for it: ", result.text);
}

} // namespace sshtpm::applets
