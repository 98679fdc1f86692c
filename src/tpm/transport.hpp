#pragma once
// Bytes to a TPM and back, below ESYS, each by a deadline. Two cases have none of ours: /dev/tpmrm0 cannot be
// polled or closed while the driver works on a command (it holds a mutex, drivers/char/tpm/tpm-dev-common.c),
// so the driver's own timeouts come first; and some TCTIs without a descriptor to poll, such as mssim's,
// ignore their timeout.

#include "base/bytes.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tss2/tss2_tcti.h>

namespace sshtpm::tpm {

inline constexpr std::size_t header_size = 10;
/// The largest message that the kernel's driver takes and gives (TPM_BUFSIZE).
inline constexpr std::size_t largest_message = 4096;

/// Of commands and responses (TPM 2.0 Part 1, 18).
struct Header {
    std::uint16_t tag = 0;
    std::uint32_t size = 0; ///< of the message, as it says itself
    std::uint32_t code = 0; ///< of the command, or of the response
};

/// @param message at least `header_size` bytes.
Header header_of(ByteView message) noexcept;

using Deadline = std::chrono::steady_clock::time_point;

/// A reply, or why there is none.
struct Received {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    std::size_t size = 0;
};

/// Called from C, so nothing throws. TSS2_TCTI_RC_TRY_AGAIN: the deadline has passed; any other failure: the
/// connection is lost.
class Transport {
  public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    virtual TSS2_RC send(ByteView command, Deadline deadline) noexcept = 0;
    /// The whole reply into `room`. The caller checks its header.
    virtual Received receive(std::span<std::uint8_t> room, Deadline deadline) noexcept = 0;
};

/// @param tcti a string for the TCTI loader, such as "device:/dev/tpmrm0". "swtpm:…" does not need its
/// module.
/// @throws Error with a hint: not_found for no TPM, permission for no access, usage for a file that is no
///     device; tpm for a device that serves one program and has one.
std::unique_ptr<Transport> open_transport(const std::string& tcti);

/// Where an emulator listens.
struct SwtpmAddress {
    std::string path; ///< of a UNIX socket; empty for host and port
    std::string host = "localhost";
    std::string port = "2321";
};

/// From "swtpm", "swtpm:path=SOCKET" or "swtpm:host=HOST,port=NUMBER" (tss2-tcti-swtpm(7)); nothing for any
/// other string.
std::optional<SwtpmAddress> parse_swtpm(std::string_view tcti);

} // namespace sshtpm::tpm
