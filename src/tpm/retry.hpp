#pragma once
// What to do about response codes that are not the request's fault: one table, one loop.

#include "base/error.hpp"
#include "base/time_limits.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include <tss2/tss2_common.h>

namespace sshtpm::tpm {

enum class Remedy {
    none,      ///< the error is the answer
    wait,      ///< the TPM is busy: wait and ask again, for up to 30 s
    make_room, ///< its slots or sessions are taken: give back our own, wait, ask again, at most 3 times
    reload,    ///< it has lost our handle: forget our own, ask again once
};

Remedy remedy_for(TSS2_RC base_code) noexcept;

/// Decides, error by error, whether to go on and after which pause.
class RetryPlan {
  public:
    struct Step {
        Remedy remedy;
        std::chrono::milliseconds pause;
    };
    explicit RetryPlan(std::chrono::milliseconds patience = time_limits().tpm_busy) noexcept
        : patience_(patience) {}

    /// Remedy::none when it is time to give up.
    Step next(TSS2_RC base_code) noexcept;

  private:
    std::chrono::milliseconds patience_;
    std::chrono::milliseconds pause_{20};
    std::chrono::milliseconds waited_{0};
    int rooms_made_ = 0;
    int reloads_ = 0;
};

/// True while this thread is within with_retries.
class RetryScope {
  public:
    RetryScope() noexcept : outermost_(!entered) { entered = true; }
    RetryScope(const RetryScope&) = delete;
    RetryScope& operator=(const RetryScope&) = delete;
    ~RetryScope() { entered = !outermost_; }

    bool outermost() const noexcept { return outermost_; }

  private:
    static thread_local bool entered;
    bool outermost_;
};

/// Runs `attempt` until it succeeds or the plan gives up. `forget_handles(remedy)` gives back what this
/// process holds in the TPM, or what the TPM still has of it. The pauses are for a device that has no event
/// to wait for. Within another one it tries once: the outermost knows what can be given back, and a person
/// must not wait for thirty times thirty seconds.
template <class Attempt, class ForgetHandles>
auto with_retries(Attempt attempt, ForgetHandles forget_handles) {
    const RetryScope scope;
    if (!scope.outermost())
        return attempt();
    const auto start = std::chrono::steady_clock::now();
    for (RetryPlan plan;;) {
        RetryPlan::Step step{};
        try {
            return attempt();
        } catch (const Error& error) { // caught to try again, not to report
            step = error.tpm_rc() ? plan.next(*error.tpm_rc()) : RetryPlan::Step{Remedy::none, {}};
            // The attempts take time as well, most of all those that give things back to a busy TPM.
            const bool too_late = std::chrono::steady_clock::now() - start > time_limits().tpm_busy;
            if (step.remedy == Remedy::none || (step.remedy == Remedy::wait && too_late))
                throw;
        }
        if (step.remedy != Remedy::wait)
            forget_handles(step.remedy);
        std::this_thread::sleep_for(step.pause);
    }
}

/// The same for a command that takes no slot, and that nothing is kept for.
template <class Attempt>
auto with_retries(Attempt attempt) {
    return with_retries(std::move(attempt), [](Remedy) {});
}

} // namespace sshtpm::tpm
