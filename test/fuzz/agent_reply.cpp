// SPDX-License-Identifier: MIT
// What an agent answers: the first byte of the input says to which request, the rest is the stream that it
// sends, frames and all.

#include "fuzz/target.hpp"
#include "protocol/client.hpp"

#include <array>
#include <sys/socket.h>

FUZZ_TARGET(agent_reply) {
    using namespace sshtpm;
    constexpr std::size_t longest = 64 * 1024; // waits in the socket until it is read
    const ByteView input(data, size);
    std::array<int, 2> ends{};
    if (input.empty() || size > longest ||
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return;
    const UniqueFd agent(ends[0]);
    protocol::Client client{UniqueFd(ends[1])};
    const auto stream = input.subspan(1);
    require(::send(agent.value(), stream.data(), stream.size(), MSG_NOSIGNAL) >= 0);
    ::shutdown(agent.value(), SHUT_WR);
    const Bytes blob{0, 0, 0, 7, 's', 's', 'h', '-', 'r', 's', 'a'};
    attempt([&] {
        switch (input.front() % 8) {
        case 0:
            return require(client.list().size() <= protocol::max_listed_keys);
        case 1:
            return static_cast<void>(client.sign(blob, blob, 2));
        case 2:
            return static_cast<void>(client.query());
        case 3:
            return static_cast<void>(client.try_pin(blob, Secret()));
        case 4:
            return static_cast<void>(client.remove_all());
        case 7:
            return static_cast<void>(client.status());
        case 6:
            return client.add_tpm_key("a key file", blob, {});
        default:
            client.remove(blob);
        }
    });
}
