#include "tpm/context.hpp"

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "tpm/rc.hpp"
#include "tpm/tpm2b.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace sshtpm::tpm {

namespace {

constexpr std::string_view device_scheme = "device:";

std::string device_path(std::string_view tcti) {
    return tcti.starts_with(device_scheme) ? std::string(tcti.substr(device_scheme.size())) : std::string();
}

/// tpm2-tss says "IO failure" for a device that is missing and for one that may not be opened alike: the
/// device is looked at first, because the remedies differ. And it would write its commands into a file.
void require_device(const std::string& path) {
    if (path.empty())
        return;
    if (::access(path.c_str(), R_OK | W_OK) != 0) {
        if (errno == EACCES || errno == EPERM)
            throw Error(Errc::permission, "no permission to use the TPM at " + path,
                        "join the group that owns it and log in again: sudo usermod -aG tss \"$USER\"");
        throw Error(
            Errc::not_found, "no TPM at " + path,
            "enable the TPM in the firmware settings, or use --swtpm to try things out with an emulator");
    }
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && !S_ISCHR(status.st_mode))
        throw Error(Errc::usage, path + " is no device",
                    "a TPM is at /dev/tpmrm0; an emulator is named as swtpm:path=SOCKET");
}

/// Why a device that may be opened does not serve.
void explain_device(const std::string& path) {
    const UniqueFd device(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (device)
        return;
    if (errno == EBUSY)
        throw Error(Errc::tpm, "another program has the TPM at " + path + " open",
                    "use /dev/tpmrm0, which many programs can share, or end the other one: fuser -v " + path +
                        " shows it");
    throw Error::from_errno(errno, "the TPM at " + path);
}

std::unique_ptr<Transport> open_tpm(const std::string& tcti) {
    const auto path = device_path(tcti);
    require_device(path);
    try { // caught to say why
        return open_transport(tcti);
    } catch (const Error&) {
        if (!path.empty())
            explain_device(path);
        throw;
    }
}

} // namespace

void EsysFree::operator()(void* memory) const noexcept {
    Esys_Free(memory);
}

Context::Context(const std::string& tcti) : tcti_(open_tpm(tcti)) {
    check("Esys_Initialize", Esys_Initialize(&esys_, tcti_.tcti(), nullptr));
}

Context::~Context() {
    Esys_Finalize(&esys_); // frees what it has, and tells the TPM nothing
}

} // namespace sshtpm::tpm
