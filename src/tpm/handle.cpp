#include "tpm/handle.hpp"

#include "base/log.hpp"
#include "tpm/context.hpp"
#include "tpm/rc.hpp"
#include "tpm/retry.hpp"

#include <thread>

namespace sshtpm::tpm {

namespace {

/// A busy TPM is asked again, since what is not flushed stays in a TPM without a resource manager for good.
TSS2_RC flush(ESYS_CONTEXT* esys, ESYS_TR tr) noexcept {
    for (RetryPlan plan;;) {
        const auto rc = Esys_FlushContext(esys, tr);
        const auto step = plan.next(base_code(rc));
        if (rc == TSS2_RC_SUCCESS || step.remedy != Remedy::wait)
            return rc;
        std::this_thread::sleep_for(step.pause);
    }
}

} // namespace

Handle Handle::transient(const Context& context, ESYS_TR tr) noexcept {
    return {context.esys(), tr, true};
}

Handle Handle::persistent(const Context& context, ESYS_TR tr) noexcept {
    return {context.esys(), tr, false};
}

Handle& Handle::operator=(Handle&& other) noexcept {
    if (this != &other) {
        give_back();
        esys_ = other.esys_;
        tr_ = std::exchange(other.tr_, ESYS_TR_NONE);
        flush_ = other.flush_;
    }
    return *this;
}

TPM2_HANDLE Handle::tpm_handle() const {
    TPM2_HANDLE handle = 0;
    check("Esys_TR_GetTpmHandle", Esys_TR_GetTpmHandle(esys_, tr_, &handle));
    return handle;
}

void Handle::abandon() noexcept {
    if (tr_ != ESYS_TR_NONE)
        (void)Esys_TR_Close(esys_, &tr_);
    tr_ = ESYS_TR_NONE;
}

bool Handle::give_back() noexcept {
    if (tr_ == ESYS_TR_NONE)
        return true;
    const auto rc = flush_ ? flush(esys_, tr_) : Esys_TR_Close(esys_, &tr_);
    if (rc != TSS2_RC_SUCCESS) {
        log::debug("a TPM handle was not released: ", error_of("Esys_FlushContext", rc).what());
        if (flush_) // ESYS forgets a flushed object by itself, and this one was not flushed
            (void)Esys_TR_Close(esys_, &tr_);
    }
    tr_ = ESYS_TR_NONE;
    const auto code = base_code(rc);
    return code != TPM2_RC_HANDLE && remedy_for(code) != Remedy::reload;
}

} // namespace sshtpm::tpm
