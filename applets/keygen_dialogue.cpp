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

tpm::Auth new_pin(const std::optional<Secret>& given, const std::string& question) {
    if (given)
        return tpm::to_auth(Secret::copy_of(given->view()));
    for (;;) {
        auto first = ask_secret(question);
        const auto again = ask_secret("Enter same passphrase again: ");
        if (same_secret(first, again))
            return tpm::to_auth(std::move(first));
        std::cerr << "Passphrases do not match.  Try again.\n";
    }
}

std::optional<tpm::Auth> changed_pin(const std::optional<Secret>& given) {
    if (given)
        return tpm::to_auth(Secret::copy_of(given->view()));
    auto first = ask_secret("Enter new passphrase (empty for no passphrase): ");
    const auto again = ask_secret("Enter same passphrase again: ");
    if (same_secret(first, again))
        return tpm::to_auth(std::move(first));
    std::cout << "Pass phrases do not match.  Try again.\n";
    return std::nullopt;
}

bool confirm_overwrite(const std::string& path) {
    if (!interactive())
        throw Error(Errc::exists, path + " already exists", "choose another file with -f");
    std::cout << path << " already exists.\n";
    const auto answer = ask_line("Overwrite (y/n)? ");
    return answer && !answer->empty() && (answer->front() == 'y' || answer->front() == 'Y');
}

void PinTries::require_one() {
    if (!tpm::counts_wrong_pins(key_))
        return;
    auto job = [](tpm::Tpm& opened) { return tpm::read_lockout(opened.context()); };
    const auto lockout = device_.run(job); // not while a person thinks: other programs wait for their turn
    if (lockout.active)
        throw Error(Errc::lockout, tpm::lockout_text(lockout), tpm::lockout_hint(lockout));
    if (last_allowed_ || !lockout.last_try())
        return;
    if (!interactive())
        throw Error(Errc::refused, last_try_unasked,
                    "run this at a terminal, which asks first, or wait: one wrong PIN is forgotten " +
                        tpm::every(lockout.interval));
    const auto answer = ask_line("LAST TRY: another wrong PIN locks the TPM. Try it? (y/N) ");
    if (!answer || answer->empty() || (answer->front() != 'y' && answer->front() != 'Y'))
        throw Error(Errc::refused, "the last try was not spent; nothing was changed",
                    "one wrong PIN is forgotten " + tpm::every(lockout.interval));
    last_allowed_ = true;
}

} // namespace sshtpm::applets
