// What an agent answers: the first byte of the input says to which request, the rest is the stream that it
// sends, frames and all.

#include "base/error.hpp"
#include "fuzz/target.hpp"
#include "protocol/client.hpp"

#include <array>
#include <cstdlib>
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
    if (::send(agent.value(), stream.data(), stream.size(), MSG_NOSIGNAL) < 0)
        std::abort();
    ::shutdown(agent.value(), SHUT_WR);
    const Bytes blob{0, 0, 0, 7, 's', 's', 'h', '-', 'r', 's', 'a'};
    try {
        switch (input.front() % 6) {
        case 0:
            if (client.list().size() > protocol::max_listed_keys)
                std::abort();
            break;
        case 1:
            client.sign(blob, blob, 2);
            break;
        case 2:
            client.query();
            break;
        case 3:
            client.try_pin(blob, Secret());
            break;
        case 4:
            client.remove_all();
            break;
        default:
            client.remove(blob);
        }
    } catch (const Error&) {
    }
}
