#include "tpm/context.hpp"

#include "base/error.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm2b.hpp"

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

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

Context::Context(const std::string& tcti) : tcti_((require_device(tcti), open_transport(tcti))) {
    check("Esys_Initialize", Esys_Initialize(&esys_, tcti_.tcti(), nullptr));
}

Context::~Context() {
    Esys_Finalize(&esys_); // frees what it has, and tells the TPM nothing
}

} // namespace sshtpm::tpm
