#pragma once
// A connection to a TPM: the TCTI and the ESYS context above it.

#include "tpm/watched_tcti.hpp"

#include <string>

#include <tss2/tss2_esys.h>

namespace sshtpm::tpm {

/// Not movable: handles and sessions point back at it and must go before it does.
class Context {
  public:
    /// @param tcti a string for the TCTI loader, such as "device:/dev/tpmrm0" or "swtpm:path=/run/x".
    /// @throws Error, each with its hint: not_found for no TPM, permission for no access, usage for a file
    ///     that is no device; tpm, also for a device that serves one program and has one.
    explicit Context(const std::string& tcti);
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context();

    ESYS_CONTEXT* esys() const noexcept { return esys_; }

    /// Set once a reply did not come, or was none. ESYS refuses every call from then on, nothing is sent any
    /// more, and what is left to do with this object is to destroy it, which asks nothing of the TPM.
    const std::optional<Loss>& loss() const noexcept { return tcti_.loss(); }

  private:
    WatchedTcti tcti_;
    ESYS_CONTEXT* esys_ = nullptr;
};

} // namespace sshtpm::tpm
