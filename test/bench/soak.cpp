// SPDX-License-Identifier: MIT
#include "bench/soak.hpp"

#include "bench/connection.hpp"

#include <cstdint>
#include <poll.h>
#include <sstream>

namespace sshtpm::bench {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Done {
    std::size_t lists = 0, signatures = 0, clients = 0;
};

void require(Connection& client, ByteView frame, std::uint8_t answer) {
    if (client.exchange(frame) != answer)
        throw Error(Errc::io, "a request was not answered as it should be");
}

/// The next of `done` so that it keeps up with its share.
bool is_due(std::size_t done, double all, double part) {
    return static_cast<double>(done) < all * part;
}

/// One client at a time that does a few things, beside one that has stayed, until this part of all is done.
void do_part(const char* path, const Soak& soak, const Bytes& sign, double part, Done& done) {
    const auto list = list_frame();
    Connection stays(path);
    while (is_due(done.lists, soak.lists, part) || is_due(done.signatures, soak.signatures, part)) {
        Connection client(path);
        ++done.clients;
        for (int i = 0; i < 10 && is_due(done.lists, soak.lists, part); ++i, ++done.lists)
            require(i % 2 == 0 ? client : stays, list, identities_answer);
        for (int i = 0; i < 4 && is_due(done.signatures, soak.signatures, part); ++i, ++done.signatures)
            require(i % 2 == 0 ? client : stays, sign, sign_response);
        switch (done.clients % 10) {
        case 0: // goes without waiting for what it has asked for
            client.send(sign);
            break;
        case 1: // and within a frame
            client.send(ByteView(sign).first(sign.size() / 2));
            break;
        }
    }
}

} // namespace

std::string soak(const char* path, const Soak& soak) {
    constexpr Seconds slice{0.25};
    const auto sign = sign_frame(soak.pub.c_str());
    Done done;
    const auto start = Clock::now();
    for (auto end = slice; end < soak.time + slice; end += slice) {
        do_part(path, soak, sign, std::min(1.0, end / soak.time), done);
        const std::chrono::duration<double, std::milli> left =
            std::min(end, soak.time) - (Clock::now() - start);
        if (left.count() > 0)
            ::poll(nullptr, 0, static_cast<int>(left.count())); // the load has its pace
    }
    std::ostringstream line;
    line << "lists=" << done.lists << " signatures=" << done.signatures << " clients=" << done.clients
         << " seconds=" << Seconds(Clock::now() - start).count();
    return line.str();
}

} // namespace sshtpm::bench
