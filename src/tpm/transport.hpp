// SPDX-License-Identifier: MIT
#pragma once
// Sends bytes to a TPM and receives its reply, below ESYS, by a deadline. Two cases have no deadline of ours:
// /dev/tpmrm0 cannot be polled or closed while the driver works on a command (it holds a mutex,
// drivers/char/tpm/tpm-dev-common.c), so the driver's own timeouts come first; and some TCTIs without a
// descriptor to poll, such as mssim's, ignore their timeout.

#include "base/bytes.hpp"
#include "base/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tss2/tss2_tcti.h>

namespace sshtpm::tpm {

inline constexpr std::size_t header_size = 10;
/// The largest message that the kernel's driver takes and gives (TPM_BUFSIZE).
inline constexpr std::size_t largest_message = 4096;

/// The header of a command or a response (TPM 2.0 Part 1, 18).
struct Header {
    std::uint16_t tag = 0;
    std::uint32_t size = 0; ///< of the message, as its header says
    std::uint32_t code = 0; ///< of the command, or of the response
};

/// @param message at least `header_size` bytes.
Header header_of(ByteView message) noexcept;

/// The outcome of a receive: a reply of `size` bytes, or the error.
struct Received {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    std::size_t size = 0;
};

/// Called from C, so nothing throws. TSS2_TCTI_RC_TRY_AGAIN means that the deadline has passed; any other
/// failure, that the connection is lost.
class Transport {
  public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    virtual TSS2_RC send(ByteView command, Deadline deadline) noexcept = 0;
    /// Receives the whole reply into `buffer`. The caller checks its header.
    virtual Received receive(std::span<std::uint8_t> buffer, Deadline deadline) noexcept = 0;
};

/// @param tcti a string for the TCTI loader, such as "tabrmd". "device:PATH" and "swtpm:…" need no module of
/// it.
/// @throws Error with a hint: not_found for no TPM, permission for no access, refused for a device that
///     systemd's DeviceAllow= denies (systemd.resource-control(5)), usage for a file that is not a device;
///     tpm for a device that serves one program and is in use
std::unique_ptr<Transport> open_transport(const std::string& tcti);

/// The path in "device:PATH", /dev/tpmrm0 for "device"; empty for other TCTIs.
std::string device_path(std::string_view tcti);

/// The rights that a process needs to use the TPM.
struct TctiNeeds {
    bool sockets = false;   ///< UNIX ones
    bool network = false;   ///< perhaps
    bool libraries = false; ///< a TCTI of tpm2-tss, which may need anything
};

TctiNeeds needs_of(std::string_view tcti);

/// The address of an emulator's socket.
struct SwtpmAddress {
    std::string path; ///< of a UNIX socket; empty for host and port
    std::string host = "localhost";
    std::string port = "2321";
};

/// Parses "swtpm", "swtpm:path=SOCKET" or "swtpm:host=HOST,port=NUMBER" (tss2-tcti-swtpm(7)). @returns
/// nothing for any other string
std::optional<SwtpmAddress> parse_swtpm(std::string_view tcti);

} // namespace sshtpm::tpm
