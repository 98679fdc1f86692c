#include "applets/pin_tries.hpp"

#include "applets/keygen_dialogue.hpp"
#include "base/error.hpp"
#include "tpm/lockout.hpp"

namespace sshtpm::applets {

namespace {

tpm::Lockout lockout_of(tpm::Tpm& device) {
    auto job = [](tpm::Tpm& opened) { return tpm::read_lockout(opened.context()); };
    return device.run(job); // not while a person thinks: other programs wait for their turn
}

} // namespace

void PinTries::require_one() {
    if (!tpm::counts_wrong_pins(key_))
        return;
    const auto lockout = lockout_of(device_);
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
