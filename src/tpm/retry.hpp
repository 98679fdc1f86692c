#pragma once
// What to do about response codes that are not the request's fault: one table, one loop.

#include "base/error.hpp"

#include <chrono>
#include <thread>

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
    /// Remedy::none when it is time to give up.
    Step next(TSS2_RC base_code) noexcept;

  private:
    std::chrono::milliseconds pause_{20};
    std::chrono::milliseconds waited_{0};
    int rooms_made_ = 0;
    int reloads_ = 0;
};

/// Runs `attempt` until it succeeds or the plan gives up. `forget_handles` gives back what this process
/// holds in the TPM. The pauses are for a device that has no event to wait for.
template <class Attempt, class ForgetHandles>
auto with_retries(Attempt attempt, ForgetHandles forget_handles) {
    for (RetryPlan plan;;) {
        RetryPlan::Step step{};
        try {
            return attempt();
        } catch (const Error& error) { // caught to try again, not to report
            step = error.tpm_rc() ? plan.next(*error.tpm_rc()) : RetryPlan::Step{Remedy::none, {}};
            if (step.remedy == Remedy::none)
                throw;
        }
        if (step.remedy != Remedy::wait)
            forget_handles();
        std::this_thread::sleep_for(step.pause);
    }
}

} // namespace sshtpm::tpm
