// SPDX-License-Identifier: MIT
// bench-load SOCKET: puts an agent under load, as lines on standard input tell it to; each is answered with a
// line of figures, NAME=NUMBER. Times are in milliseconds. What it holds open stays so until `leave`, or its
// end.
//
//     list COUNT                   lists, one after the other, on a new connection: p50, p99, max, or
//     blocked=1 when
//                                  an answer takes longer than two seconds
//     during SECONDS               the same, for so long
//     join COUNT                   idle connections that are held
//     begin COUNT BYTES            the same, each with the first BYTES of a frame of 256 KiB, read by the
//     agent ask COUNT                    the same, each with one list asked for: how many were served sign
//     PUB                     one connection that has asked for a signature and does not wait for it closed
//     SECONDS               waits until the agent has closed what is held wait SECONDS                 waits,
//     so long: how many were served in all next                         one of those served leaves: how soon
//     another one is leave                        all that are held leave flood SECONDS                one
//     connection asks for lists as fast as it can and reads nothing malformed COUNT [TYPE ...]   malformed
//     frames of all types but these soak SECONDS LISTS SIGNATURES PUB   spread over the time, by clients that
//     come and go

#include "base/error.hpp"
#include "bench/crowd.hpp"
#include "bench/malformed.hpp"
#include "bench/soak.hpp"
#include "wire/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <poll.h>
#include <sstream>

namespace {

using namespace sshtpm;
using bench::Connection;
using bench::Crowd;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::uint32_t large_frame = 256 * 1024;

double milliseconds(Seconds time) {
    return time.count() * 1000;
}

void limit_waiting(const Connection& connection, int seconds) {
    const timeval limit{.tv_sec = seconds, .tv_usec = 0};
    if (::setsockopt(connection.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        throw Error::from_errno(errno, "SO_RCVTIMEO");
}

bool waited_too_long(const Error& error) {
    return errno == EAGAIN && error.code() == Errc::io;
}

class Load {
  public:
    explicit Load(const char* path) : path_(path), crowd_(path) {}

    std::string obey(const std::string& line);

  private:
    std::string list(std::size_t count, Seconds time);
    std::string begin(std::size_t count, std::size_t bytes);
    std::string closed(Seconds limit);
    std::string wait(Seconds time);
    std::string next();
    std::string flood(Seconds time);
    std::string malformed(std::size_t count, std::set<int> spared);

    const char* path_;
    Crowd crowd_;
};

template <class... Parts>
std::string line_of(const Parts&... parts) {
    std::ostringstream line;
    (line << ... << parts);
    return line.str();
}

/// So many, or for so long, whatever is longer.
std::string Load::list(std::size_t count, Seconds time) {
    Connection client(path_);
    limit_waiting(client, 2);
    const auto request = bench::list_frame();
    std::vector<Seconds> times;
    const auto end = Clock::now() + time;
    while (times.size() < count || Clock::now() < end) {
        const auto start = Clock::now();
        try { // caught because an agent that does not answer is a figure like others
            if (client.exchange(request) != bench::identities_answer)
                throw Error(Errc::io, "no list");
        } catch (const Error& error) {
            if (waited_too_long(error))
                return "blocked=1";
            throw;
        }
        times.push_back(Clock::now() - start);
    }
    std::ranges::sort(times);
    return line_of("p50=", milliseconds(times[times.size() / 2]),
                   " p99=", milliseconds(times[times.size() * 99 / 100]),
                   " max=", milliseconds(times.back()));
}

std::string Load::begin(std::size_t count, std::size_t bytes) {
    auto start = wire::Writer().uint32(large_frame).bytes();
    start.resize(bytes, bench::sign_request);
    crowd_.join(count, start);
    while (!crowd_.all_read())
        list(1, {}); // the agent has had a turn
    return line_of("begun=", crowd_.size());
}

std::string Load::closed(Seconds limit) {
    const auto last = crowd_.wait_until_closed(limit);
    return line_of("closed=", crowd_.closed(), " after=", milliseconds(last));
}

std::string Load::wait(Seconds time) {
    crowd_.wait_until_closed(time);
    return line_of("served=", crowd_.served(), " closed=", crowd_.closed());
}

std::string Load::next() {
    const auto time = crowd_.leave_for_the_next(Seconds(5));
    return time ? line_of("after=", milliseconds(*time)) : "never=1";
}

std::string Load::flood(Seconds time) {
    Connection client(path_);
    Bytes requests;
    for (int i = 0; i < 1000; ++i)
        append(requests, bench::list_frame());
    std::size_t sent = 0;
    const auto end = Clock::now() + time;
    for (Seconds left = time; left > Seconds(0); left = end - Clock::now()) {
        pollfd room{.fd = client.fd(), .events = POLLOUT, .revents = 0};
        if (::poll(&room, 1, static_cast<int>(milliseconds(left)) + 1) > 0)
            sent += client.send_some(ByteView(requests).subspan(sent % 5)); // a frame has five bytes
    }
    return line_of("sent=", sent / 5);
}

std::string Load::malformed(std::size_t count, std::set<int> spared) {
    constexpr std::size_t at_once = 50;
    bench::Malformed frames(std::move(spared));
    std::size_t answered = 0;
    std::optional<Connection> client(path_);
    for (std::size_t sent = 0; sent < count; sent += at_once) {
        Bytes batch;
        for (std::size_t i = 0; i < at_once; ++i)
            append(batch, frames.frame());
        if (!client->exchange(batch, at_once))
            throw Error(Errc::io, line_of("the agent closed the connection after ", sent, " frames"));
        answered += at_once;
        if (sent / at_once % 100 != 99)
            continue;
        // Beyond a wrong length nothing can be understood: the agent closes this connection alone.
        const auto length = sent / at_once % 200 == 99 ? 0 : 0xfffffff0U;
        if (client->exchange(wire::Writer().uint32(length).byte(bench::lock).bytes()))
            throw Error(Errc::io, "a frame without end was answered");
        client.emplace(path_);
    }
    return line_of("answered=", answered);
}

std::string Load::obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, pub;
    double number = 0, lists = 0, signatures = 0;
    words >> command;
    const auto count = [&] { return static_cast<std::size_t>(words >> number ? number : 0); };
    if (command == "list")
        return list(std::max<std::size_t>(count(), 1), {});
    if (command == "during" && words >> number)
        return list(1, Seconds(number));
    if (command == "join" || command == "ask")
        crowd_.join(count(), command == "ask" ? bench::list_frame() : Bytes());
    if (command == "begin") {
        const auto clients = count();
        return begin(clients, count());
    }
    if (command == "sign" && words >> pub)
        crowd_.join(1, bench::sign_frame(pub.c_str()));
    if (command == "closed" && words >> number)
        return closed(Seconds(number));
    if (command == "wait" && words >> number)
        return wait(Seconds(number));
    if (command == "next")
        return next();
    if (command == "leave")
        crowd_.leave();
    if (command == "ask")
        crowd_.wait_for_replies(Seconds(1));
    if (command == "flood" && words >> number)
        return flood(Seconds(number));
    if (command == "malformed") {
        const auto frames = count();
        return malformed(frames, {std::istream_iterator<int>(words), {}});
    }
    if (command == "soak" && words >> number >> lists >> signatures >> pub)
        return bench::soak(path_, {Seconds(number), lists, signatures, pub});
    return line_of("served=", crowd_.served(), " held=", crowd_.size());
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: bench-load SOCKET\n", stderr);
        return 2;
    }
    Load load(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
        try { // caught because the next command may be about another load
            std::cout << load.obey(line) << std::endl;
        } catch (const std::exception& error) {
            std::cout << "error=" << error.what() << std::endl;
        }
    }
    return 0;
}
