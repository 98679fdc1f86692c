// SPDX-License-Identifier: MIT
#include "tpm/lockout.hpp"

#include "tpm/capability.hpp"
#include "tpm/rc.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace sshtpm::tpm {

namespace {

struct Unit {
    std::uint32_t seconds;
    std::string_view name;
};
constexpr std::array units{Unit{24 * 60 * 60, "day"}, Unit{60 * 60, "hour"}, Unit{60, "minute"}};

/// A time in the largest unit that is exact, or that is contained more than twice; rounded up, so that nobody
/// tries again too early.
struct Span {
    std::uint64_t count;
    std::string_view unit;
    bool rounded = false;
};

Span span_of(std::uint64_t seconds) {
    for (const auto& unit : units) {
        if (seconds % unit.seconds == 0)
            return {seconds / unit.seconds, unit.name};
        if (seconds > 2 * std::uint64_t{unit.seconds})
            return {seconds / unit.seconds + 1, unit.name, true};
    }
    return {seconds, "second"};
}

/// "1 minute", "2 minutes".
std::string counted(const Span& span) {
    return std::to_string(span.count).append(" ").append(span.unit).append(span.count == 1 ? "" : "s");
}

/// The text about the recovery of a locked TPM, whose counter goes down by one in each interval (Part 1,
/// 19.8.2).
std::string recovery_text(const Lockout& lockout) {
    std::string text("one try comes back ");
    text.append(every(lockout.interval));
    const auto failures = std::max(lockout.failures, lockout.max_failures);
    if (failures > 1)
        text.append(", all of them within ")
            .append(counted(span_of(std::uint64_t{lockout.interval} * failures)));
    return text;
}

} // namespace

Lockout read_lockout(const Context& context) {
    const auto data = read_capability(context, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_VAR, TPM2_MAX_TPM_PROPERTIES);
    const auto& list = data->data.tpmProperties;
    const std::span known(list.tpmProperty, std::min<std::size_t>(list.count, std::size(list.tpmProperty)));
    const auto value_of = [&](TPM2_PT property) -> std::uint32_t {
        const auto found = std::ranges::find(known, property, &TPMS_TAGGED_PROPERTY::property);
        return found == known.end() ? 0 : found->value;
    };
    const auto permanent = value_of(TPM2_PT_PERMANENT);
    return {.active = (permanent & TPMA_PERMANENT_INLOCKOUT) != 0,
            .failures = value_of(TPM2_PT_LOCKOUT_COUNTER),
            .max_failures = value_of(TPM2_PT_MAX_AUTH_FAIL),
            .interval = value_of(TPM2_PT_LOCKOUT_INTERVAL),
            .recovery = value_of(TPM2_PT_LOCKOUT_RECOVERY),
            .password_set = (permanent & TPMA_PERMANENT_LOCKOUTAUTHSET) != 0};
}

std::string every(std::uint32_t seconds) {
    const auto span = span_of(seconds);
    return (span.rounded ? "about every " : "every ") +
           (span.count == 1 ? std::string(span.unit) : counted(span));
}

std::string lockout_text(const Lockout& lockout) {
    const auto left = lockout.tries_left();
    if (!lockout.active && lockout.interval == 0)
        return "the TPM does not count wrong PINs of this key";
    if (!lockout.active && left > 0)
        return std::to_string(left) + (left == 1 ? " wrong PIN" : " wrong PINs") +
               " left before the TPM locks";
    if (lockout.max_failures == 0 || lockout.interval == 0)
        return "the TPM is locked, and set so that no try comes back by itself";
    return "the TPM is locked; " + recovery_text(lockout);
}

std::string lockout_hint(const Lockout& lockout) {
    std::string text("every PIN is refused until then, the right one too; ");
    if (!lockout.password_set)
        text.append(
            "the TPM has no lockout password: `tpm2_dictionarylockout --clear-lockout` ends it at once");
    else
        text.append(
                "the lockout password ends it at once: "
                "`tpm2_dictionarylockout --clear-lockout -p PASSWORD` (after a wrong one the TPM takes none ")
            .append(lockout.recovery == 0 ? "until it is reset)"
                                          : "for " + counted(span_of(lockout.recovery)) + ")");
    return text.append("; LOCKOUT in ssh-tpm(7) tells more");
}

Error lockout_error(const Context& context, const char* call) {
    try { // caught because the lockout can be reported without its length
        auto lockout = read_lockout(context);
        lockout.active = true; // the TPM has just said so; a try may have come back since
        return Error::from_tpm(Errc::lockout, TPM2_RC_LOCKOUT, lockout_text(lockout) + " (" + call + ")",
                               lockout_hint(lockout));
    } catch (const Error&) {
        return error_of(call, TPM2_RC_LOCKOUT);
    }
}

bool auth_was_accepted(const Context& context, const char* call, TSS2_RC rc) {
    // TPM2_RC_AUTH_FAIL for a key under dictionary-attack protection, TPM2_RC_BAD_AUTH for an exempt key
    // (Part 1, 19.8).
    const auto code = check_expecting(call, rc, {TPM2_RC_AUTH_FAIL, TPM2_RC_BAD_AUTH, TPM2_RC_LOCKOUT});
    if (code == TPM2_RC_LOCKOUT)
        throw lockout_error(context, call);
    return code == TSS2_RC_SUCCESS;
}

bool counts_wrong_pins(const keyfile::KeyFile& key) noexcept {
    return (key.public_area.objectAttributes & TPMA_OBJECT_NODA) == 0;
}

std::string wrong_pin_hint(const Context& context, const keyfile::KeyFile& key) {
    if (!counts_wrong_pins(key))
        return lockout_text(not_counted);
    try { // caught because the wrong PIN can be reported without the count
        const auto lockout = read_lockout(context);
        return lockout_text(lockout) + (lockout.active ? "; " + lockout_hint(lockout) : "");
    } catch (const Error&) {
        return "the TPM counts wrong PINs and locks after some";
    }
}

} // namespace sshtpm::tpm
