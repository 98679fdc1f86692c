// SPDX-License-Identifier: MIT
#include "applets/keygen_dialogue.hpp"

#include "base/error.hpp"
#include "prompt/ask.hpp"
#include "tpm/lockout.hpp"

#include <iostream>
#include <unistd.h>

namespace sshtpm::applets {

bool interactive() {
    return ::isatty(STDIN_FILENO) == 1;
}

std::optional<std::string> ask_line(const std::string& question) {
    // A person does not see what goes to a file, such as a request.
    auto& shown = interactive() && ::isatty(STDOUT_FILENO) == 0 ? std::cerr : std::cout;
    shown << question << std::flush;
    const auto line = prompt::read_input_line();
    return line ? std::optional(std::string(text_of(line->view()))) : std::nullopt;
}

std::string ask_file(const std::string& question, const std::string& usual) {
    // Shown to a person alone: scripts read the output of -y and -l.
    const auto answer = ask_line(interactive() ? question + " (" + usual + "): " : "");
    if (!answer && interactive())
        throw Error(Errc::refused, "no file was named");
    return answer && !answer->empty() ? *answer : usual;
}

namespace {

[[noreturn]] void give_up(std::string_view what, prompt::Unanswered reason, const std::string& hint) {
    throw Error(Errc::refused,
                std::string("no ").append(what).append(" was given: ").append(prompt::in_words(reason)),
                hint);
}

} // namespace

Secret ask_secret(const std::string& question, std::string_view what, const std::string& hint) {
    std::cout << std::flush; // earlier output comes before the question
    auto answer = prompt::ask_and_wait(question);
    if (const auto* reason = std::get_if<prompt::Unanswered>(&answer))
        give_up(what, *reason, hint);
    return std::get<Secret>(std::move(answer));
}

Secret ask_existing_secret(const std::string& question, std::string_view what, const std::string& hint) {
    auto secret = ask_secret(question, what, hint);
    if (secret.empty())
        give_up(what, prompt::Unanswered::empty, hint);
    return secret;
}

tpm::Auth auth_of(const Secret& pin) {
    return tpm::to_auth(Secret::copy_of(pin.view()));
}

namespace {

/// @returns nothing if the two answers differ
std::optional<tpm::Auth> ask_twice(const std::string& question) {
    const std::string hint = "-N gives it; `-N ''` is for a key without a PIN";
    auto first = ask_secret(question, "passphrase", hint);
    if (!same_secret(first, ask_secret("Enter same passphrase again: ", "passphrase", hint)))
        return std::nullopt;
    return tpm::to_auth(std::move(first));
}

} // namespace

tpm::Auth new_pin(const std::optional<Secret>& given, const std::string& question) {
    if (given)
        return auth_of(*given);
    for (;;) {
        if (auto auth = ask_twice(question))
            return std::move(*auth);
        std::cerr << "Passphrases do not match.  Try again.\n";
    }
}

std::optional<tpm::Auth> changed_pin(const std::optional<Secret>& given) {
    if (given)
        return auth_of(*given);
    auto auth = ask_twice("Enter new passphrase (empty for no passphrase): ");
    if (!auth)
        std::cout << "Pass phrases do not match.  Try again.\n";
    return auth;
}

namespace {

bool is_yes(const std::optional<std::string>& answer) {
    return answer && (answer->starts_with('y') || answer->starts_with('Y'));
}

/// @param last_allowed a person has allowed the last try. @returns whether this is so now
bool require_try(tpm::Tpm& tpm, const keyfile::KeyFile& key, bool last_allowed) {
    if (!tpm::counts_wrong_pins(key))
        return last_allowed;
    auto job = [](tpm::Tpm& opened) { return tpm::read_lockout(opened.context()); };
    const auto lockout = tpm.run(job); // the TPM is free while a person thinks
    if (lockout.active)
        throw Error(Errc::lockout, tpm::lockout_text(lockout), tpm::lockout_hint(lockout));
    if (last_allowed || !lockout.last_try())
        return last_allowed;
    if (!interactive())
        throw Error(Errc::refused, last_try_unasked,
                    "run this at a terminal, which asks first, or wait: one wrong PIN is forgotten " +
                        tpm::every(lockout.interval));
    if (!is_yes(ask_line("LAST TRY: another wrong PIN locks the TPM. Try it? (y/N) ")))
        throw Error(Errc::refused, "the last try was not spent; nothing was changed",
                    "one wrong PIN is forgotten " + tpm::every(lockout.interval));
    return true;
}

} // namespace

bool confirm_overwrite(const std::string& path) {
    std::cout << path << " already exists.\n";
    const auto answer = ask_line("Overwrite (y/n)? ");
    if (!answer && !interactive()) {
        std::cout << '\n' << std::flush; // the error begins a line
        throw Error(Errc::exists, path + " already exists",
                    "choose another file with -f; a line with y on standard input overwrites it");
    }
    return is_yes(answer);
}

tpm::Auth existing_pin(tpm::Tpm& tpm, const keyfile::KeyFile& key, const std::optional<Secret>& given,
                       const std::string& question, const PinHints& hints) {
    const bool last_allowed = require_try(tpm, key, false);
    auto pin = given ? auth_of(*given) : tpm::to_auth(ask_secret(question, "passphrase", hints.instead));
    if (!given && !pin)
        give_up("passphrase", prompt::Unanswered::empty, hints.empty);
    require_try(tpm, key, last_allowed); // other programs may have spent tries meanwhile
    return pin;
}

} // namespace sshtpm::applets
