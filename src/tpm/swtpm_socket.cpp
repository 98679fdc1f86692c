#include "tpm/swtpm_socket.hpp"

#include "base/time_limits.hpp"
#include "os/unix_socket.hpp"
#include "tpm/tpm_message.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace sshtpm::tpm {

namespace {

constexpr std::chrono::milliseconds full_queue_pause{10};

struct Place {
    std::string path;
    std::string host = "localhost";
    std::string port = "2321";
};

/// The conf string of the swtpm TCTI (tss2-tcti-swtpm(7)); nothing for what is not one.
std::optional<Place> parse(std::string_view conf) {
    constexpr std::string_view name = "swtpm";
    if (!conf.starts_with(name))
        return std::nullopt;
    conf.remove_prefix(name.size());
    if (!conf.empty() && conf.front() != ':')
        return std::nullopt;
    conf.remove_prefix(conf.empty() ? 0 : 1);
    Place place;
    while (!conf.empty()) {
        const auto field = conf.substr(0, conf.find(','));
        conf.remove_prefix(std::min(field.size() + 1, conf.size()));
        const auto equals = field.find('=');
        if (equals == field.npos || equals + 1 == field.size())
            return std::nullopt;
        const auto key = field.substr(0, equals), value = field.substr(equals + 1);
        if (key == "path")
            place.path = value;
        else if (key == "host")
            place.host = value;
        else if (key == "port")
            place.port = value;
        else
            return std::nullopt;
    }
    return place;
}

bool again() noexcept {
    return errno == EAGAIN || errno == EINTR;
}

} // namespace

std::optional<std::vector<SwtpmSocket::Address>> SwtpmSocket::addresses_of(const std::string& conf) {
    const auto place = parse(conf);
    if (!place)
        return std::nullopt;
    std::vector<Address> out;
    if (!place->path.empty()) {
        const auto address = os::unix_address(place->path);
        out.push_back({.storage = {}, .size = sizeof address});
        std::memcpy(&out.back().storage, &address, sizeof address);
        return out;
    }
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (::getaddrinfo(place->host.c_str(), place->port.c_str(), &wanted, &found) != 0)
        return out;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    for (const auto* one = found; one != nullptr; one = one->ai_next) {
        out.push_back({.storage = {}, .size = one->ai_addrlen});
        std::memcpy(&out.back().storage, one->ai_addr, one->ai_addrlen);
    }
    return out;
}

bool SwtpmSocket::understands(const std::string& conf) {
    return parse(conf).has_value();
}

std::unique_ptr<SwtpmSocket> SwtpmSocket::open(const std::string& conf) {
    auto addresses = addresses_of(conf);
    if (!addresses)
        return nullptr;
    std::unique_ptr<SwtpmSocket> out(new SwtpmSocket(std::move(*addresses)));
    if (out->connect(std::chrono::steady_clock::now() + time_limits().tpm_open) != TSS2_RC_SUCCESS)
        return nullptr;
    out->socket_.reset();
    return out;
}

TSS2_RC SwtpmSocket::wait(short events, Deadline deadline) const noexcept {
    pollfd descriptor{.fd = socket_.value(), .events = events, .revents = 0};
    switch (wait_for({&descriptor, 1}, deadline)) {
    case Wait::ready:
        return TSS2_RC_SUCCESS;
    case Wait::over:
        return TSS2_TCTI_RC_TRY_AGAIN;
    default:
        return TSS2_TCTI_RC_IO_ERROR;
    }
}

TSS2_RC SwtpmSocket::connect(Deadline deadline) noexcept {
    for (const auto& address : addresses_) {
        for (;;) {
            socket_.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            const void* generic = &address.storage;
            if (!socket_)
                return TSS2_TCTI_RC_IO_ERROR;
            if (::connect(socket_.value(), static_cast<const sockaddr*>(generic), address.size) == 0)
                return TSS2_RC_SUCCESS;
            if (errno != EAGAIN) // of a UNIX socket: its queue is full, and there is nothing to poll for
                break;
            if (std::chrono::steady_clock::now() >= deadline)
                return TSS2_TCTI_RC_TRY_AGAIN;
            std::this_thread::sleep_for(full_queue_pause);
        }
        if (errno != EINPROGRESS)
            continue;
        if (const auto rc = wait(POLLOUT, deadline); rc != TSS2_RC_SUCCESS)
            return rc;
        int failure = 0;
        socklen_t size = sizeof failure;
        if (::getsockopt(socket_.value(), SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0)
            return TSS2_RC_SUCCESS;
    }
    return TSS2_TCTI_RC_IO_ERROR;
}

TSS2_RC SwtpmSocket::send(ByteView command, Deadline deadline) noexcept {
    if (const auto rc = connect(deadline); rc != TSS2_RC_SUCCESS)
        return rc;
    while (!command.empty()) {
        const auto written = ::send(socket_.value(), command.data(), command.size(), MSG_NOSIGNAL);
        if (written >= 0)
            command = command.subspan(static_cast<std::size_t>(written));
        else if (!again())
            return TSS2_TCTI_RC_IO_ERROR;
        else if (const auto rc = wait(POLLOUT, deadline); rc != TSS2_RC_SUCCESS)
            return rc;
    }
    return TSS2_RC_SUCCESS;
}

TSS2_RC SwtpmSocket::fill(std::span<std::uint8_t> room, Deadline deadline) const noexcept {
    while (!room.empty()) {
        const auto got = ::recv(socket_.value(), room.data(), room.size(), 0);
        if (got > 0)
            room = room.subspan(static_cast<std::size_t>(got));
        else if (got == 0)
            return TSS2_TCTI_RC_NO_CONNECTION;
        else if (!again())
            return TSS2_TCTI_RC_IO_ERROR;
        else if (const auto rc = wait(POLLIN, deadline); rc != TSS2_RC_SUCCESS)
            return rc;
    }
    return TSS2_RC_SUCCESS;
}

Received SwtpmSocket::receive(std::span<std::uint8_t> room, Deadline deadline) noexcept {
    const auto received = receive_message(room, deadline);
    socket_.reset(); // the next program's turn
    return received;
}

Received SwtpmSocket::receive_message(std::span<std::uint8_t> room, Deadline deadline) const noexcept {
    const auto header = room.first(header_size);
    if (const auto rc = fill(header, deadline); rc != TSS2_RC_SUCCESS)
        return {rc, 0};
    const auto size = header_of(header).size;
    if (size < header_size || size > room.size())
        return {TSS2_TCTI_RC_MALFORMED_RESPONSE, 0};
    return {fill(room.subspan(header_size, size - header_size), deadline), size};
}

} // namespace sshtpm::tpm
