#include "tpm/context.hpp"

#include "base/printable.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm2b.hpp"

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

#include <tss2/tss2_tctildr.h>

namespace sshtpm::tpm {

namespace {

/// tpm2-tss says "IO failure" for a device that is missing and for one that may not be opened alike: the
/// device is looked at first, because the remedies differ.
void require_device(std::string_view tcti) {
    constexpr std::string_view scheme = "device:";
    if (!tcti.starts_with(scheme))
        return;
    const std::string path(tcti.substr(scheme.size()));
    if (::access(path.c_str(), R_OK | W_OK) == 0)
        return;
    if (errno == EACCES || errno == EPERM)
        throw Error(Errc::permission, "no permission to use the TPM at " + path,
                    "join the group that owns it and log in again: sudo usermod -aG tss \"$USER\"");
    throw Error(Errc::not_found, "no TPM at " + path,
                "enable the TPM in the firmware settings, or use --swtpm to try things out with an emulator");
}

} // namespace

void EsysFree::operator()(void* memory) const noexcept {
    Esys_Free(memory);
}

Context::Context(const std::string& tcti) {
    require_device(tcti);
    if (const auto rc = Tss2_TctiLdr_Initialize(tcti.c_str(), &tcti_); rc != TSS2_RC_SUCCESS)
        throw Error::from_tpm(Errc::not_found, rc, "no TPM answers at \"" + printable(tcti) + "\"",
                              "check --tcti and SSH_TPM_TCTI, and that the TPM or its emulator is running");
    if (const auto rc = Esys_Initialize(&esys_, tcti_, nullptr); rc != TSS2_RC_SUCCESS) {
        Tss2_TctiLdr_Finalize(&tcti_);
        throw error_of("Esys_Initialize", rc);
    }
}

Context::~Context() {
    Esys_Finalize(&esys_);
    Tss2_TctiLdr_Finalize(&tcti_);
}

} // namespace sshtpm::tpm
