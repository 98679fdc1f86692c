#pragma once
// The way to a TPM and back, below ESYS: bytes out, bytes in, by a deadline, as far as the way allows. Linux
// lets nobody poll or close /dev/tpmrm0 while it works on a command (drivers/char/tpm/tpm-dev-common.c holds
// its mutex all the while), so there the driver's own timeouts come first; and a TCTI that has no descriptor
// to poll and ignores its timeout, such as mssim's, waits for as long as it does.

#include "base/bytes.hpp"

#include <chrono>
#include <memory>
#include <poll.h>
#include <string>

#include <tss2/tss2_tcti.h>

namespace sshtpm::tpm {

using Deadline = std::chrono::steady_clock::time_point;

/// A reply, or why there is none.
struct Received {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    std::size_t size = 0;
};

/// tpm2-tss calls these through C: they do not throw. TSS2_TCTI_RC_TRY_AGAIN says that the deadline has
/// passed, any other failure that the connection is of no use any more.
class Transport {
  public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    virtual TSS2_RC send(ByteView command, Deadline deadline) noexcept = 0;
    /// The whole reply into `room`, whatever its length field says.
    virtual Received receive(std::span<std::uint8_t> room, Deadline deadline) noexcept = 0;
};

/// @param tcti a string for the TCTI loader. Only "swtpm…" is spoken here (swtpm_socket.hpp).
/// @throws Error(not_found) with a hint when nothing answers there.
std::unique_ptr<Transport> open_transport(const std::string& tcti);

enum class Wait { ready, over, failed };

/// poll(2) until one of the descriptors is ready, in error or hung up; interrupted calls go on.
Wait wait_for(std::span<pollfd> descriptors, Deadline deadline) noexcept;

/// The milliseconds left, rounded up: never 0 before the deadline, never below 0.
int milliseconds_until(Deadline deadline) noexcept;

} // namespace sshtpm::tpm
