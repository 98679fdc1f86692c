#include "tpm/loaded_tcti.hpp"

#include <array>

#include <tss2/tss2_tctildr.h>

namespace sshtpm::tpm {

namespace {

constexpr std::size_t most_handles = 8;

/// Waits for the TCTI's descriptors, where it shows any. At the deadline and after an error the TCTI is asked
/// all the same: it has the last word.
void wait_for_reply(TSS2_TCTI_CONTEXT* tcti, Deadline deadline) noexcept {
    std::array<TSS2_TCTI_POLL_HANDLE, most_handles> handles{};
    std::size_t count = handles.size();
    if (Tss2_Tcti_GetPollHandles(tcti, handles.data(), &count) != TSS2_RC_SUCCESS || count > handles.size())
        return;
    std::array<pollfd, most_handles> descriptors{};
    bool any = false;
    for (std::size_t i = 0; i < count; ++i) {
        // Only POLLIN: the device and mssim TCTIs of tpm2-tss 3.2.1 ask for POLLOUT as well, which a socket
        // always is.
        descriptors[i] = {.fd = handles[i].fd, .events = POLLIN, .revents = 0};
        any = any || handles[i].fd >= 0; // poll(2) would sleep to the deadline over none
    }
    if (any)
        (void)wait_for(std::span(descriptors).first(count), deadline);
}

} // namespace

std::unique_ptr<LoadedTcti> LoadedTcti::open(const std::string& conf) {
    TSS2_TCTI_CONTEXT* tcti = nullptr;
    if (Tss2_TctiLdr_Initialize(conf.c_str(), &tcti) != TSS2_RC_SUCCESS)
        return nullptr;
    return std::unique_ptr<LoadedTcti>(new LoadedTcti(tcti));
}

LoadedTcti::~LoadedTcti() {
    Tss2_TctiLdr_Finalize(&tcti_);
}

/// The device TCTI writes to a descriptor that is O_NONBLOCK: the kernel takes the command and works on it
/// behind our back.
TSS2_RC LoadedTcti::send(ByteView command, Deadline) noexcept {
    return Tss2_Tcti_Transmit(tcti_, command.size(), command.data());
}

/// The TCTI is never asked for the size first, as SYS would: the device TCTI reads the header by itself then,
/// which older kernels answer by dropping the rest. And it is never asked before a reply is there: it takes
/// an interrupted poll for a lost connection.
Received LoadedTcti::receive(std::span<std::uint8_t> room, Deadline deadline) noexcept {
    for (;;) {
        wait_for_reply(tcti_, deadline);
        std::size_t size = room.size();
        // TCTIs without descriptors get the time that is left, for what they make of it: that of swtpm in
        // tpm2-tss 3.2.1 ignores it.
        const auto rc = Tss2_Tcti_Receive(tcti_, &size, room.data(), milliseconds_until(deadline));
        if (rc != TSS2_TCTI_RC_TRY_AGAIN)
            return {rc, size};
        if (std::chrono::steady_clock::now() >= deadline)
            return {TSS2_TCTI_RC_TRY_AGAIN, 0};
    }
}

} // namespace sshtpm::tpm
