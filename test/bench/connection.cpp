// SPDX-License-Identifier: MIT
#include "bench/connection.hpp"

#include "base/file.hpp"
#include "os/unix_socket.hpp"
#include "ssh/authorized_key.hpp"
#include "wire/reader.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace sshtpm::bench {

Bytes list_frame() {
    return wire::Writer().uint32(1).byte(request_identities).bytes();
}

Bytes sign_frame(const char* pub_file) {
    constexpr std::uint32_t rsa_sha2_256 = 2;
    const auto key = ssh::AuthorizedKey::parse(text_of(read_file(pub_file, 65536)));
    const Bytes data(300);
    const auto body =
        wire::Writer().byte(sign_request).string(key.blob).string(data).uint32(rsa_sha2_256).bytes();
    return wire::Writer().string(body).bytes();
}

Connection::Connection(const char* path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = os::unix_address(path);
    if (!fd_ || ::connect(fd(), os::generic(address), sizeof address) != 0)
        throw Error::from_errno(errno, path);
}

void Connection::send(ByteView bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0)
            throw Error::from_errno(errno, "send");
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

std::size_t Connection::send_some(ByteView bytes) {
    const auto sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        throw Error::from_errno(errno, "send");
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

std::optional<std::uint8_t> Connection::take(std::span<std::uint8_t>& rest) {
    if (filled_ < header_.size()) {
        const auto count = std::min(rest.size(), header_.size() - filled_);
        std::copy_n(rest.begin(), count, header_.begin() + static_cast<std::ptrdiff_t>(filled_));
        filled_ += count;
        rest = rest.subspan(count);
        if (filled_ < header_.size())
            return std::nullopt;
        const auto length = wire::Reader(header_).uint32();
        if (length == 0)
            throw Error(Errc::malformed, "an empty reply");
        body_left_ = length - 1;
    }
    const auto count = std::min(rest.size(), body_left_);
    body_left_ -= count;
    rest = rest.subspan(count);
    if (body_left_ > 0)
        return std::nullopt;
    filled_ = 0;
    return header_.back();
}

std::optional<std::uint8_t> Connection::exchange(ByteView frames, std::size_t count) {
    std::optional<std::uint8_t> last;
    const auto note = [&](std::uint8_t number) {
        last = number;
        --count;
    };
    send(frames);
    while (count > 0)
        if (!receive(note))
            return std::nullopt;
    return last;
}

} // namespace sshtpm::bench
