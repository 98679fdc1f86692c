#include "tpm/transport.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "tpm/loaded_tcti.hpp"
#include "tpm/swtpm_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

namespace sshtpm::tpm {

std::unique_ptr<Transport> open_transport(const std::string& tcti) {
    std::unique_ptr<Transport> transport;
    if (SwtpmSocket::understands(tcti))
        transport = SwtpmSocket::open(tcti);
    else
        transport = LoadedTcti::open(tcti);
    if (!transport)
        throw Error(Errc::not_found, "no TPM answers at \"" + printable(tcti) + "\"",
                    "check --tcti and SSH_TPM_TCTI, and that the TPM or its emulator is running");
    return transport;
}

int milliseconds_until(Deadline deadline) noexcept {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(
        std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, std::numeric_limits<int>::max()));
}

Wait wait_for(std::span<pollfd> descriptors, Deadline deadline) noexcept {
    for (;;) {
        const int ready = ::poll(descriptors.data(), descriptors.size(), milliseconds_until(deadline));
        if (ready > 0)
            return Wait::ready;
        if (ready == 0)
            return Wait::over;
        if (errno != EINTR)
            return Wait::failed;
    }
}

} // namespace sshtpm::tpm
