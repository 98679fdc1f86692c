// bench-client SOCKET CLIENTS [PUB]: requests per second that an agent answers to this many connections, each
// of which sends its next request once the last is answered: signatures with the key of the file PUB, or
// lists without one. One thread; it looks at the number of a reply and at nothing else, to cost little
// itself.

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/rate.hpp"
#include "ssh/authorized_key.hpp"
#include "wire/writer.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using namespace sshtpm;

constexpr std::uint8_t request_identities = 11, identities_answer = 12, sign_request = 13, sign_response = 14;
constexpr std::uint32_t rsa_sha2_256 = 2;

struct Request {
    Bytes frame;
    std::uint8_t answer; ///< the number of the reply that is no failure
};

Request list_request() {
    return {.frame = wire::Writer().uint32(1).byte(request_identities).bytes(), .answer = identities_answer};
}

/// As large as what ssh has signed at a login.
Request signature_request(const char* pub_file) {
    const auto key = ssh::AuthorizedKey::parse(text_of(read_file(pub_file, 65536)));
    const Bytes data(300);
    const auto body =
        wire::Writer().byte(sign_request).string(key.blob).string(data).uint32(rsa_sha2_256).bytes();
    return {.frame = wire::Writer().string(body).bytes(), .answer = sign_response};
}

class Client {
  public:
    explicit Client(const char* path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
        const void* generic = &address;
        if (::connect(fd_.value(), static_cast<const sockaddr*>(generic), sizeof address) != 0)
            throw Error::from_errno(errno, path);
    }

    int fd() const noexcept { return fd_.value(); }

    void send(const Bytes& frame) {
        if (::send(fd_.value(), frame.data(), frame.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(frame.size()))
            throw Error::from_errno(errno, "send");
    }

    /// Reads what is there; true when a whole reply has come in, which must be the one expected.
    bool receive(std::uint8_t expected) {
        const auto got = ::recv(fd_.value(), buffer_.data() + filled_, buffer_.size() - filled_, 0);
        if (got <= 0)
            throw Error(Errc::io, "the agent closed the connection");
        filled_ += static_cast<std::size_t>(got);
        if (filled_ < 5)
            return false;
        std::size_t length = 4;
        for (int i = 0; i < 4; ++i)
            length += std::size_t{buffer_[static_cast<std::size_t>(i)]} << (24 - 8 * i);
        if (filled_ < length)
            return false;
        if (filled_ > length || buffer_[4] != expected)
            throw Error(Errc::io, "the agent refused a request");
        filled_ = 0;
        return true;
    }

  private:
    UniqueFd fd_;
    std::array<std::uint8_t, 16384> buffer_; ///< larger than any reply here
    std::size_t filled_ = 0;
};

/// Waits for replies and sends the next requests; the number of replies.
std::size_t serve_once(std::vector<Client>& clients, std::vector<pollfd>& waiting, const Request& request) {
    if (clients.size() > 1 && ::poll(waiting.data(), waiting.size(), -1) < 0)
        throw Error::from_errno(errno, "poll");
    std::size_t replies = 0;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (clients.size() > 1 && waiting[i].revents == 0)
            continue;
        if (clients[i].receive(request.answer)) {
            clients[i].send(request.frame);
            ++replies;
        }
    }
    return replies;
}

void measure(const char* path, int count, const Request& request) {
    std::vector<Client> clients;
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
        const auto request = argc == 4 ? signature_request(argv[3]) : list_request();
        measure(argv[1], std::atoi(argv[2]), request);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench-client: error: %s\n", error.what());
        return 1;
    }
}
