// SPDX-License-Identifier: MIT
// bench-client SOCKET CLIENTS [PUB]: requests per second that an agent answers to this many connections, each
// of which sends its next request once the last is answered: signatures with the key of the file PUB, or
// lists without one. One thread.

#include "base/error.hpp"
#include "bench/connection.hpp"
#include "bench/rate.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <poll.h>

namespace {

using namespace sshtpm;

struct Request {
    Bytes frame;
    std::uint8_t answer; ///< the number of the reply that is no failure
};

/// Waits for replies and sends the next requests; the number of replies.
std::size_t serve_once(std::vector<bench::Connection>& clients, std::vector<pollfd>& waiting,
                       const Request& request) {
    if (clients.size() > 1 && ::poll(waiting.data(), waiting.size(), -1) < 0)
        throw Error::from_errno(errno, "poll");
    std::size_t replies = 0;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (clients.size() > 1 && waiting[i].revents == 0)
            continue;
        const auto send_next = [&](std::uint8_t number) {
            if (number != request.answer)
                throw Error(Errc::io, "the agent refused a request");
            clients[i].send(request.frame);
            ++replies;
        };
        if (!clients[i].receive(send_next))
            throw Error(Errc::io, "the agent closed the connection");
    }
    return replies;
}

void measure(const char* path, int count, const Request& request) {
    std::vector<bench::Connection> clients;
    std::vector<pollfd> waiting;
    for (int i = 0; i < count; ++i) {
        clients.emplace_back(path);
        clients.back().send(request.frame);
        waiting.push_back({.fd = clients.back().fd(), .events = POLLIN, .revents = 0});
    }
    bench::serve_rates([&] { return serve_once(clients, waiting, request); });
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 4) {
        std::fputs("usage: bench-client SOCKET CLIENTS [PUB]\n", stderr);
        return 2;
    }
    try {
        const auto request = argc == 4 ? Request{bench::sign_frame(argv[3]), bench::sign_response}
                                       : Request{bench::list_frame(), bench::identities_answer};
        measure(argv[1], std::atoi(argv[2]), request);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench-client: error: %s\n", error.what());
        return 1;
    }
}
