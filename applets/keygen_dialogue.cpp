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
    std::cout << question << std::flush;
    std::string line;
    if (!std::getline(std::cin, line))
        return std::nullopt;
    return line;
}

Secret ask_secret(const std::string& question) {
    std::cout << std::flush; // what was said before stands before the question
    auto answer = prompt::ask_and_wait(question, prompt::Program::tool);
    if (!answer)
        throw Error(Errc::refused, "no passphrase was given", "-N gives a new one, -P an old one");
    return std::move(*answer);
}

tpm::Auth auth_of(const Secret& pin) {
    return tpm::to_auth(Secret::copy_of(pin.view()));
}

tpm::Auth new_pin(const std::optional<Secret>& given, const std::string& question) {
    if (given)
        return auth_of(*given);
    for (;;) {
        auto first = ask_secret(question);
        if (same_secret(first, ask_secret("Enter same passphrase again: ")))
            return tpm::to_auth(std::move(first));
        std::cerr << "Passphrases do not match.  Try again.\n";
    }
}

std::optional<tpm::Auth> changed_pin(const std::optional<Secret>& given) {
    if (given)
        return auth_of(*given);
    auto first = ask_secret("Enter new passphrase (empty for no passphrase): ");
    if (same_secret(first, ask_secret("Enter same passphrase again: ")))
        return tpm::to_auth(std::move(first));
    std::cout << "Pass phrases do not match.  Try again.\n";
    return std::nullopt;
}

namespace {

bool confirmed(const std::string& question) {
    const auto answer = ask_line(question);
    return answer && !answer->empty() && (answer->front() == 'y' || answer->front() == 'Y');
}

} // namespace

bool confirm_overwrite(const std::string& path) {
    if (!interactive())
        throw Error(Errc::exists, path + " already exists", "choose another file with -f");
    std::cout << path << " already exists.\n";
    return confirmed("Overwrite (y/n)? ");
}

void PinTries::require_one() {
    if (!tpm::counts_wrong_pins(key_))
        return;
    auto job = [](tpm::Tpm& opened) { return tpm::read_lockout(opened.context()); };
    const auto lockout = tpm_.run(job); // not while a person thinks: other programs wait for their turn
    if (lockout.active)
        throw Error(Errc::lockout, tpm::lockout_text(lockout), tpm::lockout_hint(lockout));
    if (last_allowed_ || !lockout.last_try())
        return;
    if (!interactive())
        throw Error(Errc::refused, last_try_unasked,
                    "run this at a terminal, which asks first, or wait: one wrong PIN is forgotten " +
                        tpm::every(lockout.interval));
    if (!confirmed("LAST TRY: another wrong PIN locks the TPM. Try it? (y/N) "))
        throw Error(Errc::refused, "the last try was not spent; nothing was changed",
                    "one wrong PIN is forgotten " + tpm::every(lockout.interval));
    last_allowed_ = true;
}

} // namespace sshtpm::applets
