// SPDX-License-Identifier: MIT
// ssh-tpm-add without a mode: sends keys and the certificates beside them to the agent. With --pin it asks
// for the PIN, and a key counts as added once the TPM has accepted it.

#include "applets/add_files.hpp"
#include "applets/keygen_dialogue.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "cli/time_span.hpp"
#include "os/secret_line.hpp"
#include "prompt/ask.hpp"
#include "protocol/message.hpp"
#include "tpm/rc.hpp"
#include "tpm/session.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>

namespace sshtpm::applets {

namespace {

protocol::Constraints constraints_of(const AddOptions& options) {
    protocol::Constraints constraints;
    if (options.lifetime.count() > 0)
        constraints.lifetime = static_cast<std::uint32_t>(options.lifetime.count());
    constraints.confirm = options.confirm;
    constraints.destinations = read_destinations(options.destinations, options.host_key_files);
    return constraints;
}

/// Call it before a person is asked: other agents must not get the PIN.
void require_extension(protocol::Client& agent) {
    agent.require_trusted_agent();
    if (!agent.knows(protocol::extension::tpm_try_pin))
        throw Error(Errc::unsupported, "this agent tries no PINs",
                    "--pin needs an ssh-tpm-agent on this machine that is not locked");
}

/// The question tells the number of tries left when there are this many or fewer.
constexpr std::uint32_t few_tries = 3;

/// The words of ssh-add, by which ksshaskpass and others find a stored answer. After "Bad passphrase" such a
/// program asks the person, who can store another answer. With few tries left the question has two lines, for
/// which ksshaskpass looks up no stored answer.
std::string question(const KeyToAdd& key, bool confirm, std::optional<std::uint32_t> tries_left, bool again) {
    std::string text(again ? "Bad passphrase, try again for " : "Enter passphrase for ");
    text.append(printable(key.shown)).append(confirm ? " (will confirm each use)" : "");
    if (tries_left == 1U)
        text.append("\nLAST TRY: a wrong PIN locks the TPM. Enter PIN");
    else if (again && tries_left && *tries_left <= few_tries)
        text.append("\n").append(std::to_string(*tries_left)).append(" tries left. Enter PIN");
    return text.append(": ");
}

/// From --pin-file, if it is given.
std::optional<Secret> read_pin(const AddOptions& options) {
    if (!options.pin_file)
        return std::nullopt;
    if (*options.pin_file == "-" && std::ranges::find(options.files, "-") != options.files.end())
        throw Error(Errc::usage, "standard input cannot be the file of the PIN and of a key",
                    "give one of them by the name of a file");
    return os::read_secret_line(*options.pin_file, tpm::max_pin);
}

Secret ask_pin(const std::string& text) {
    auto pin = ask_existing_secret(text, "PIN");
    if (pin.size() > tpm::max_pin)
        throw Error(Errc::usage, "a PIN has at most " + std::to_string(tpm::max_pin) + " bytes");
    return pin;
}

bool is_right(protocol::PinOutcome outcome) {
    return outcome == protocol::PinOutcome::kept || outcome == protocol::PinOutcome::not_kept;
}

void require_tries(const protocol::PinResult& result) {
    if (result.outcome == protocol::PinOutcome::lockout || result.tries_left == 0U)
        throw Error(Errc::lockout, "the TPM takes no PIN now, not even the right one",
                    (result.text.empty() ? "" : result.text + "; ") + std::string(tpm::end_of_lockout));
}

/// The last try needs a person who reads the warning in the question.
void require_person(const protocol::PinResult& result, bool pin_given) {
    const auto asker = prompt::choose_asker(prompt::current_circumstances(), prompt::Program::tool);
    if (result.tries_left == 1U && (pin_given || asker == prompt::Asker::standard_input))
        throw Error(Errc::refused, last_try_unasked,
                    "run this at a terminal, or where askpass can ask, with --pin");
}

/// One key on its way to the agent.
class Addition {
  public:
    /// @param pin of --pin-file; nothing: a person is asked
    Addition(protocol::Client& agent, const AddOptions& options, const protocol::Constraints& constraints,
             const std::optional<Secret>& pin, KeyToAdd key)
        : agent_(agent), options_(options), constraints_(constraints), pin_(pin), key_(std::move(key)) {}

    /// @param is_pin_tried the agent gets the PIN too
    void run(bool is_pin_tried) {
        if (!options_.key_only)
            read_certificate();
        try { // caught to name the key
            if (is_pin_tried)
                send_and_try_pin();
            else
                send();
        } catch (const Error& error) {
            throw Error(error.code(), "Could not add identity \"" + key_.shown + "\": " + error.what(),
                        error.hint());
        }
        report();
    }

  private:
    /// An error in it is reported after the key has been added.
    void read_certificate() {
        const auto& file = key_.certificate_file;
        try { // caught to go on with the key itself
            const auto half = file.empty() ? std::nullopt : read_public_file(file);
            if (half) {
                certificate_ = ssh::Certificate::from_blob(half->blob);
                if (certificate_->public_key != key_.identity.public_key)
                    throw Error(Errc::malformed,
                                "Certificate " + file.string() + " does not match private key " + key_.shown);
                if (certificate_->has_expired() && !options_.expired)
                    ignore_expired(file);
            } else if (options_.certificate_only) {
                throw Error(Errc::not_found, key_.shown + ": no certificate " + file.string());
            }
        } catch (const Error& error) {
            if (options_.certificate_only)
                throw;
            certificate_.reset();
            certificate_failure_ = error;
        }
    }

    /// As ssh-add of OpenSSH 10.1: the key itself is added.
    void ignore_expired(const std::filesystem::path& file) {
        const auto what = "Certificate " + file.string() + " has already expired; ignored";
        if (options_.certificate_only)
            throw Error(Errc::refused, what, "have the key certified anew");
        certificate_.reset();
        std::cerr << printable(what, what.size()) << '\n';
    }

    void send() {
        if (!options_.certificate_only)
            send(ByteView());
        if (!certificate_)
            return;
        try { // caught because the key itself has been added
            send(certificate_->blob);
        } catch (const Error& error) {
            if (options_.certificate_only)
                throw;
            certificate_failure_ = Error(error.code(),
                                         "Certificate " + key_.certificate_file.string() + " (" +
                                             certificate_->key_id + ") add failed: " + error.what(),
                                         error.hint());
        }
    }

    void send(ByteView certificate) {
        try { // caught for a hint
            agent_.add_tpm_key(key_.text, certificate, constraints_);
        } catch (const Error& error) {
            if (error.code() != Errc::refused || agent_.knows(protocol::extension::tpm_add_checked_key))
                throw;
            throw Error(
                Errc::refused, error.what(),
                "an agent other than ssh-tpm-agent takes no TPM keys; ssh-tpm-agent takes none while it is "
                "locked, which ssh-tpm-add -X ends");
        }
    }

    /// Returns if the PIN was right. While a person thinks, and if they give up or fail (three tries), the
    /// agent does not have the key, unless it had it before.
    void send_and_try_pin() {
        require_extension(agent_);
        const bool was_there = listed(agent_.list(), key_.identity.public_key.blob());
        // The answer tells how many tries are left, or that the key has no PIN.
        auto result = try_pin(Secret(), was_there);
        Secret pin, refused; // the last PIN, and the last one that the TPM has refused
        for (int tries = 0; tries < (pin_ ? 1 : most_tries) && !is_right(result.outcome); ++tries) {
            require_tries(result);
            require_person(result, pin_.has_value());
            const bool again = result.outcome == protocol::PinOutcome::wrong;
            pin = pin_ ? Secret::copy_of(pin_->view())
                       : ask_pin(question(key_, options_.confirm, result.tries_left, again));
            if (!refused.empty() && same_secret(pin, refused))
                continue; // it would cost another try
            result = try_pin(pin, was_there);
            if (result.outcome == protocol::PinOutcome::wrong)
                refused = std::move(pin);
        }
        require_tries(result);
        if (result.outcome == protocol::PinOutcome::wrong)
            throw Error(Errc::auth, "the PIN is wrong", result.text);
        if (!is_right(result.outcome)) // others spend tries meanwhile
            throw Error(Errc::refused, "the agent did not try the PIN", result.text);
        if (was_there) {
            send(); // with the new constraints
            // If the agent had the key from another file, it does not know the PIN of this one yet.
            if (!pin.empty())
                (void)try_pin(pin, true);
        }
        if (result.outcome == protocol::PinOutcome::not_kept)
            log::info("the PIN is right, and the agent will ask for it: ", result.text);
    }

    /// @param was_there the agent had the key before, and keeps it; else it has the key only during the try
    protocol::PinResult try_pin(const Secret& pin, bool was_there) {
        const auto blob = key_.identity.public_key.blob();
        try { // caught to leave the agent as it was
            if (!was_there)
                send();
            auto result = agent_.try_pin(blob, pin);
            result.text = printable(result.text);
            if (!was_there && !is_right(result.outcome))
                withdraw(blob);
            return result;
        } catch (const Error&) {
            if (!was_there)
                withdraw(blob);
            throw;
        }
    }

    void withdraw(ByteView blob) noexcept {
        try { // caught because another error may be pending
            agent_.remove(blob);
        } catch (const std::exception& error) {
            log::debug("the key could not be removed again: ", error.what());
        }
    }

    void report() const {
        if (!options_.certificate_only)
            say("Identity added: " + key_.shown + " (" + key_.identity.comment + ")");
        identity::tell_fixed_hash(key_.identity);
        if (certificate_failure_)
            throw Error(*certificate_failure_);
        if (certificate_)
            say("Certificate added: " + key_.certificate_file.string() + " (" + certificate_->key_id + ")");
    }

    void say(const std::string& what) const {
        if (options_.quiet)
            return;
        std::cerr << printable(what, what.size()) << '\n';
        if (constraints_.lifetime)
            std::cerr << "Lifetime set to " << cli::time_span_text(options_.lifetime) << '\n';
        if (constraints_.confirm)
            std::cerr << "The user must confirm each use of the key\n";
    }

    protocol::Client& agent_;
    const AddOptions& options_;
    const protocol::Constraints& constraints_;
    const std::optional<Secret>& pin_;
    KeyToAdd key_;
    std::optional<ssh::Certificate> certificate_;
    std::optional<Error> certificate_failure_;
};

} // namespace

int add_keys(protocol::Client& agent, const AddOptions& options) {
    const auto constraints = constraints_of(options);
    const auto files = options.files.empty() ? default_files(false) : options.files;
    const auto pin = read_pin(options);
    std::string refused; // the key for which the PIN of --pin-file was wrong
    return each_file(files, [&](const std::string& file) {
        auto key = read_key_to_add(file);
        if (!refused.empty() && key.identity.needs_pin())
            throw Error(Errc::refused,
                        "Could not add identity \"" + key.shown +
                            "\": the PIN was not tried, because it was wrong for " + refused,
                        "keys with different PINs need a --pin-file each");
        try { // caught so that a wrong PIN costs one try, however many keys there are
            Addition(agent, options, constraints, pin, std::move(key))
                .run((options.pin || pin) && refused.empty());
        } catch (const Error& error) {
            if (pin && error.code() == Errc::auth)
                refused = file;
            throw;
        }
        return true;
    });
}

} // namespace sshtpm::applets
