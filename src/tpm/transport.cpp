// SPDX-License-Identifier: MIT
#include "tpm/transport.hpp"

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "base/unique_fd.hpp"
#include "os/unix_socket.hpp"
#include "tpm/device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include <tss2/tss2_tctildr.h>

namespace sshtpm::tpm {

namespace {

/// swtpm's command socket, with a new connection for each command, so that programs take turns. The swtpm
/// TCTI of tpm2-tss 3.2.1 is not used: it ignores timeouts, has no descriptor to poll, and may wait for ever,
/// even when it is opened.
class SwtpmSocket final : public Transport {
  public:
    explicit SwtpmSocket(const SwtpmAddress& address) {
        if (!address.path.empty()) {
            const auto path = os::unix_address(address.path);
            add(os::generic(path), sizeof path);
            return;
        }
        addrinfo wanted{};
        wanted.ai_socktype = SOCK_STREAM;
        wanted.ai_flags = AI_NUMERICSERV;
        addrinfo* found = nullptr;
        if (::getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found) != 0)
            return;
        const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
        for (const auto* one = found; one != nullptr; one = one->ai_next)
            add(one->ai_addr, one->ai_addrlen);
    }

    bool answers() {
        const auto rc = connect(std::chrono::steady_clock::now() + time_limits().tpm_open);
        socket_.reset();
        return rc == TSS2_RC_SUCCESS;
    }

    TSS2_RC send(ByteView command, Deadline deadline) noexcept override {
        if (const auto rc = connect(deadline); rc != TSS2_RC_SUCCESS)
            return rc;
        while (!command.empty()) {
            const auto sent = before(deadline, [&] {
                return ::send(socket_.value(), command.data(), command.size(), MSG_NOSIGNAL);
            });
            if (sent < 0)
                return failure();
            command = command.subspan(static_cast<std::size_t>(sent));
        }
        return TSS2_RC_SUCCESS;
    }

    Received receive(std::span<std::uint8_t> buffer, Deadline deadline) noexcept override {
        const auto received = receive_message(buffer, deadline);
        socket_.reset(); // lets the next program connect
        return received;
    }

  private:
    struct Address {
        sockaddr_storage storage{};
        socklen_t size = 0;
    };

    void add(const sockaddr* address, socklen_t size) {
        std::memcpy(&addresses_.emplace_back().storage, address, size);
        addresses_.back().size = size;
    }

    /// Makes the call with the remaining time as the socket's timeout; repeats it after a signal.
    /// @returns a negative value at the deadline, with errno EAGAIN (connect(2): EINPROGRESS)
    template <class Call>
    ssize_t before(Deadline deadline, Call call) const noexcept {
        return uninterrupted([&]() -> ssize_t {
            const int left = milliseconds_until(deadline);
            const timeval time{.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
            ::setsockopt(socket_.value(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
            ::setsockopt(socket_.value(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
            errno = EAGAIN;
            return left > 0 ? call() : -1; // a socket timeout of 0 means none
        });
    }

    static TSS2_RC failure() noexcept {
        return errno == EAGAIN || errno == EINPROGRESS ? TSS2_TCTI_RC_TRY_AGAIN : TSS2_TCTI_RC_IO_ERROR;
    }

    TSS2_RC connect(Deadline deadline) noexcept {
        TSS2_RC rc = TSS2_TCTI_RC_IO_ERROR;
        for (const auto& address : addresses_) {
            const void* generic = &address.storage;
            socket_.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
            if (before(deadline, [&] {
                    return ::connect(socket_.value(), static_cast<const sockaddr*>(generic), address.size);
                }) == 0)
                return TSS2_RC_SUCCESS;
            rc = failure();
        }
        return rc;
    }

    TSS2_RC fill(std::span<std::uint8_t> buffer, Deadline deadline) const noexcept {
        while (!buffer.empty()) {
            const auto got =
                before(deadline, [&] { return ::recv(socket_.value(), buffer.data(), buffer.size(), 0); });
            if (got <= 0)
                return got == 0 ? TSS2_TCTI_RC_NO_CONNECTION : failure();
            buffer = buffer.subspan(static_cast<std::size_t>(got));
        }
        return TSS2_RC_SUCCESS;
    }

    Received receive_message(std::span<std::uint8_t> buffer, Deadline deadline) const noexcept {
        const auto header = buffer.first(header_size);
        if (const auto rc = fill(header, deadline); rc != TSS2_RC_SUCCESS)
            return {rc, 0};
        const auto size = header_of(header).size;
        if (size < header_size || size > buffer.size())
            return {TSS2_TCTI_RC_MALFORMED_RESPONSE, 0};
        return {fill(buffer.subspan(header_size, size - header_size), deadline), size};
    }

    std::vector<Address> addresses_;
    UniqueFd socket_;
};

/// A device of the kernel's driver. The device TCTI of tpm2-tss is not used: older ones read the header
/// first, and older kernels then drop the rest of the reply; it takes an interrupted poll for a lost
/// connection.
class Device final : public Transport {
  public:
    explicit Device(UniqueFd device) noexcept : device_(std::move(device)) {}

    /// Without a deadline: the driver takes the whole command at once, or fails.
    TSS2_RC send(ByteView command, Deadline) noexcept override {
        const auto sent =
            uninterrupted([&] { return ::write(device_.value(), command.data(), command.size()); });
        return sent == static_cast<ssize_t>(command.size()) ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
    }

    Received receive(std::span<std::uint8_t> buffer, Deadline deadline) noexcept override {
        pollfd reply{.fd = device_.value(), .events = POLLIN, .revents = 0};
        const int ready = uninterrupted([&] { return ::poll(&reply, 1, milliseconds_until(deadline)); });
        if (ready == 0)
            return {TSS2_TCTI_RC_TRY_AGAIN, 0};
        const auto size =
            uninterrupted([&] { return ::read(device_.value(), buffer.data(), buffer.size()); });
        if (ready < 0 || size <= 0)
            return {TSS2_TCTI_RC_IO_ERROR, 0};
        return {TSS2_RC_SUCCESS, static_cast<std::size_t>(size)};
    }

  private:
    UniqueFd device_;
};

/// A TCTI of tpm2-tss's loader, with deadlines.
class LoadedTcti final : public Transport {
  public:
    explicit LoadedTcti(TSS2_TCTI_CONTEXT* tcti) noexcept : tcti_(tcti) {}
    LoadedTcti(const LoadedTcti&) = delete;
    LoadedTcti& operator=(const LoadedTcti&) = delete;
    ~LoadedTcti() override { Tss2_TctiLdr_Finalize(&tcti_); }

    /// Sends without a deadline, because a TCTI has none for it.
    TSS2_RC send(ByteView command, Deadline) noexcept override {
        return Tss2_Tcti_Transmit(tcti_, command.size(), command.data());
    }

    /// One read, without asking for the size first.
    Received receive(std::span<std::uint8_t> buffer, Deadline deadline) noexcept override {
        for (;;) {
            wait_for_reply(deadline);
            std::size_t size = buffer.size();
            // The remaining time, for TCTIs without a descriptor.
            const auto rc = Tss2_Tcti_Receive(tcti_, &size, buffer.data(), milliseconds_until(deadline));
            if (rc != TSS2_TCTI_RC_TRY_AGAIN)
                return {rc, size};
            if (std::chrono::steady_clock::now() >= deadline)
                return {TSS2_TCTI_RC_TRY_AGAIN, 0};
        }
    }

  private:
    /// Waits if the TCTI has a descriptor; none of tpm2-tss has several. After the deadline or an error, the
    /// caller asks the TCTI for the reply all the same.
    void wait_for_reply(Deadline deadline) noexcept {
        TSS2_TCTI_POLL_HANDLE handle{};
        std::size_t count = 1;
        if (Tss2_Tcti_GetPollHandles(tcti_, &handle, &count) != TSS2_RC_SUCCESS || count != 1)
            return;
        // POLLIN instead of the TCTI's events: the mssim TCTI of tpm2-tss 3.2.1 asks for POLLOUT too, for
        // which a socket is always ready.
        pollfd descriptor{.fd = handle.fd, .events = POLLIN, .revents = 0};
        if (handle.fd >= 0)
            uninterrupted([&] { return ::poll(&descriptor, 1, milliseconds_until(deadline)); });
    }

    TSS2_TCTI_CONTEXT* tcti_;
};

/// @returns null if no TPM answers
std::unique_ptr<Transport> connect_to_tpm(const std::string& tcti) {
    if (const auto address = parse_swtpm(tcti)) {
        auto socket = std::make_unique<SwtpmSocket>(*address);
        return socket->answers() ? std::move(socket) : nullptr;
    }
    TSS2_TCTI_CONTEXT* loaded = nullptr;
    if (Tss2_TctiLdr_Initialize(tcti.c_str(), &loaded) != TSS2_RC_SUCCESS) {
        std::free(loaded); // an empty object that tpm2-tss 4.0 and 4.1 leave
        return nullptr;
    }
    return std::make_unique<LoadedTcti>(loaded);
}

} // namespace

Header header_of(ByteView message) noexcept {
    const auto number = [&](std::size_t at, std::size_t bytes) {
        std::uint32_t value = 0;
        for (const auto byte : message.subspan(at, bytes))
            value = value << 8U | byte;
        return value;
    };
    return {.tag = static_cast<std::uint16_t>(number(0, 2)), .size = number(2, 4), .code = number(6, 4)};
}

std::unique_ptr<Transport> open_transport(const std::string& tcti) {
    if (const auto path = device_path(tcti); !path.empty())
        return std::make_unique<Device>(open_device(path));
    if (auto transport = connect_to_tpm(tcti))
        return transport;
    throw Error(Errc::not_found, "no TPM answers at \"" + printable(tcti) + "\"",
                "check --tcti and SSH_TPM_TCTI, and that the TPM or its emulator is running");
}

std::string device_path(std::string_view tcti) {
    constexpr std::string_view name = "device";
    if (!tcti.starts_with(name) || (tcti.size() > name.size() && tcti[name.size()] != ':'))
        return {};
    tcti.remove_prefix(std::min(name.size() + 1, tcti.size()));
    return tcti.empty() ? "/dev/tpmrm0" : std::string(tcti);
}

TctiNeeds needs_of(std::string_view tcti) {
    if (!device_path(tcti).empty())
        return {};
    if (const auto swtpm = parse_swtpm(tcti))
        return {.sockets = true, .network = swtpm->path.empty()};
    return {.sockets = true, .network = true, .libraries = true};
}

std::optional<SwtpmAddress> parse_swtpm(std::string_view tcti) {
    constexpr std::string_view name = "swtpm";
    if (!tcti.starts_with(name) || (tcti.size() > name.size() && tcti[name.size()] != ':'))
        return std::nullopt;
    tcti.remove_prefix(std::min(name.size() + 1, tcti.size()));
    SwtpmAddress address;
    while (!tcti.empty()) {
        const auto field = tcti.substr(0, tcti.find(','));
        tcti.remove_prefix(std::min(field.size() + 1, tcti.size()));
        const auto equals = std::min(field.find('='), field.size());
        const auto key = field.substr(0, equals), value = field.substr(std::min(equals + 1, field.size()));
        auto* const place = key == "path"   ? &address.path
                            : key == "host" ? &address.host
                            : key == "port" ? &address.port
                                            : nullptr;
        if (place == nullptr || value.empty())
            return std::nullopt;
        *place = value;
    }
    return address;
}

} // namespace sshtpm::tpm
