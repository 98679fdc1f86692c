#include "tpm/retry.hpp"

#include <algorithm>
#include <array>

#include <tss2/tss2_tpm2_types.h>

namespace sshtpm::tpm {

namespace {

struct Rule {
    TSS2_RC code;
    Remedy remedy;
};

constexpr std::array rules{
    Rule{TPM2_RC_RETRY, Remedy::wait},
    Rule{TPM2_RC_TESTING, Remedy::wait},
    Rule{TPM2_RC_YIELDED, Remedy::wait},
    Rule{TPM2_RC_OBJECT_MEMORY, Remedy::make_room},
    Rule{TPM2_RC_SESSION_MEMORY, Remedy::make_room},
    Rule{TPM2_RC_CONTEXT_GAP, Remedy::make_room},
    Rule{TPM2_RC_NV_RATE, Remedy::make_room},
    Rule{TPM2_RC_NV_UNAVAILABLE, Remedy::make_room},
    Rule{TPM2_RC_OBJECT_HANDLES, Remedy::make_room},
    Rule{TPM2_RC_SESSION_HANDLES, Remedy::make_room},
    Rule{TPM2_RC_MEMORY, Remedy::make_room},
};

/// A handle or session of the command is not in the TPM (H0 to H6, S0 to S6: which one it was).
constexpr bool is_lost_handle(TSS2_RC code) noexcept {
    return (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_H6) ||
           (code >= TPM2_RC_REFERENCE_S0 && code <= TPM2_RC_REFERENCE_S6);
}

constexpr std::chrono::milliseconds longest_pause{1000};
constexpr int most_rooms = 3;
constexpr int most_reloads = 1;

} // namespace

thread_local bool RetryScope::entered = false;

Remedy remedy_for(TSS2_RC base_code) noexcept {
    if (is_lost_handle(base_code))
        return Remedy::reload;
    const auto rule = std::ranges::find(rules, base_code, &Rule::code);
    return rule == rules.end() ? Remedy::none : rule->remedy;
}

RetryPlan::Step RetryPlan::next(TSS2_RC base_code) noexcept {
    const auto remedy = remedy_for(base_code);
    const bool give_up = (remedy == Remedy::wait && waited_ >= patience_) ||
                         (remedy == Remedy::make_room && rooms_made_++ == most_rooms) ||
                         (remedy == Remedy::reload && reloads_++ == most_reloads);
    if (remedy == Remedy::none || give_up)
        return {Remedy::none, {}};
    if (remedy == Remedy::reload)
        return {remedy, {}};
    const auto pause = pause_;
    waited_ += pause;
    pause_ = std::min(pause_ * 2, longest_pause);
    return {remedy, pause};
}

} // namespace sshtpm::tpm
