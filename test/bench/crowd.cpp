// SPDX-License-Identifier: MIT
#include "bench/crowd.hpp"

#include "wire/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

namespace sshtpm::bench {

namespace {

using Clock = std::chrono::steady_clock;

} // namespace

Crowd::Crowd(std::string path) : path_(std::move(path)), events_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!events_)
        throw Error::from_errno(errno, "epoll");
}

void Crowd::join(std::size_t count, ByteView first_bytes) {
    for (std::size_t i = 0; i < count; ++i) {
        auto& client = clients_.emplace_back(Client{Connection(path_.c_str())});
        epoll_event interest{.events = EPOLLIN | EPOLLRDHUP, .data = {.u64 = clients_.size() - 1}};
        if (::epoll_ctl(events_.value(), EPOLL_CTL_ADD, client.connection.fd(), &interest) != 0)
            throw Error::from_errno(errno, "epoll");
        client.connection.send(first_bytes);
    }
}

bool Crowd::all_read() const {
    return std::ranges::all_of(clients_, [](const Client& client) {
        int unread = 0;
        return ::ioctl(client.connection.fd(), SIOCOUTQ, &unread) == 0 && unread == 0;
    });
}

bool Crowd::wait_once(Seconds limit) {
    std::array<epoll_event, 256> events{};
    const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    const int count = ::epoll_wait(events_.value(), events.data(), static_cast<int>(events.size()),
                                   std::max(0, static_cast<int>(timeout)));
    if (count < 0)
        throw Error::from_errno(errno, "epoll_wait");
    for (const auto& event : std::span(events).first(static_cast<std::size_t>(count))) {
        auto& client = clients_[event.data.u64];
        const auto note = [&](std::uint8_t) { client.served = true; };
        if (client.connection.receive(note))
            continue;
        client.closed = true;
        ::epoll_ctl(events_.value(), EPOLL_CTL_DEL, client.connection.fd(), nullptr);
    }
    return count > 0;
}

Crowd::Seconds Crowd::wait_until_closed(Seconds limit) {
    const auto start = Clock::now();
    Seconds last{0};
    for (auto left = limit; left > Seconds(0) && closed() < size(); left = limit - (Clock::now() - start))
        if (wait_once(left))
            last = Clock::now() - start;
    return last;
}

void Crowd::wait_for_replies(Seconds quiet) {
    while (wait_once(quiet)) {
    }
}

std::size_t Crowd::served() const {
    return static_cast<std::size_t>(std::ranges::count_if(clients_, &Client::served));
}

std::size_t Crowd::closed() const {
    return static_cast<std::size_t>(std::ranges::count_if(clients_, &Client::closed));
}

std::optional<Crowd::Seconds> Crowd::leave_for_the_next(Seconds limit) {
    const auto leaving = std::ranges::find_if(clients_, &Client::served);
    if (leaving == clients_.end())
        return std::nullopt;
    const auto before = served();
    const auto start = Clock::now();
    ::shutdown(leaving->connection.fd(), SHUT_RDWR);
    for (auto left = limit; left > Seconds(0); left = limit - (Clock::now() - start)) {
        wait_once(left);
        if (served() > before)
            return Clock::now() - start;
    }
    return std::nullopt;
}

} // namespace sshtpm::bench
