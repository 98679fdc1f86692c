#include "tpm/lockout.hpp"

#include "tpm/rc.hpp"

#include <array>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

namespace {

struct Unit {
    std::uint32_t seconds;
    const char* name;
};
constexpr std::array units{Unit{24 * 60 * 60, "day"}, Unit{60 * 60, "hour"}, Unit{60, "minute"}};

/// "minute", "2 minutes".
std::string counted(std::uint32_t count, const std::string& name) {
    return count == 1 ? name : std::to_string(count) + ' ' + name + 's';
}

/// "every 10 minutes", "every hour", "about every 17 minutes": in the largest unit that is exact or of which
/// it is more than two, rounded up, so that nobody is told to come back too early.
std::string every(std::uint32_t seconds) {
    for (const auto& unit : units) {
        if (seconds % unit.seconds == 0)
            return "every " + counted(seconds / unit.seconds, unit.name);
        if (seconds > 2 * unit.seconds)
            return "about every " + counted(seconds / unit.seconds + 1, unit.name);
    }
    return "every " + counted(seconds, "second");
}

} // namespace

std::string lockout_text(const Lockout& lockout) {
    const auto left = lockout.tries_left();
    if (!lockout.active && lockout.interval == 0)
        return "this TPM does not count wrong PINs";
    if (!lockout.active && left > 0)
        return std::to_string(left) + (left == 1 ? " wrong PIN" : " wrong PINs") +
               " left before the TPM locks";
    if (lockout.max_failures == 0 || lockout.interval == 0)
        return "the TPM is locked, and set so that no try comes back by itself";
    return "the TPM is locked; one try comes back " + every(lockout.interval);
}

Error lockout_error(const Context& context, const char* call) {
    try { // caught because the lockout is what there is to report, with or without its length
        auto lockout = read_lockout(context);
        lockout.active = true; // it has just said so; a try may have come back since
        return Error::from_tpm(
            Errc::lockout, TPM2_RC_LOCKOUT, lockout_text(lockout) + " (" + call + ")",
            "every PIN is refused until then, the right one too; who has the lockout password "
            "can end it: tpm2_dictionarylockout --clear-lockout");
    } catch (const Error&) {
        return error_of(call, TPM2_RC_LOCKOUT);
    }
}

} // namespace sshtpm::tpm
