// SPDX-License-Identifier: MIT
// The ways to a TPM: the socket of swtpm, and a TCTI of tpm2-tss's loader. That neither waits for good when
// nothing comes is in test/scenario/tpm_loss.py.

#include "tpm/transport.hpp"

#include "os/unix_socket.hpp"
#include "support/swtpm.hpp"
#include "support/tcti_log.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace sshtpm;
using namespace support;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

const Bytes startup{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}; // TPM2_Startup(CLEAR)
const Bytes startup_reply{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0};    // TPM_RC_INITIALIZE

/// A server that deals with one command as a test wants it.
class Server {
  public:
    using Deal = std::function<void(int connection)>;

    /// On a UNIX socket.
    Server(const std::string& path, Deal deal) : listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        const auto address = os::unix_address(path);
        begin(os::generic(address), sizeof address, std::move(deal));
    }
    /// On a port of 127.0.0.1 that the kernel chooses.
    explicit Server(Deal deal) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        void* generic = &address;
        begin(static_cast<sockaddr*>(generic), sizeof address, std::move(deal));
        socklen_t size = sizeof address;
        REQUIRE(::getsockname(listener_.value(), static_cast<sockaddr*>(generic), &size) == 0);
        port = ntohs(address.sin_port);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() {
        ::shutdown(listener_.value(), SHUT_RDWR);
        thread_.join();
    }

    int port = 0;

  private:
    void begin(const sockaddr* address, socklen_t size, Deal deal) {
        REQUIRE(::bind(listener_.value(), address, size) == 0);
        REQUIRE(::listen(listener_.value(), 8) == 0);
        thread_ = std::thread([this, deal = std::move(deal)] {
            for (;;) { // who opens a TPM connects once to see whether somebody listens
                const UniqueFd connection(::accept(listener_.value(), nullptr, nullptr));
                if (!connection)
                    return;
                Bytes got(startup.size());
                if (::recv(connection.value(), got.data(), got.size(), MSG_WAITALL) ==
                    static_cast<ssize_t>(got.size()))
                    deal(connection.value());
            }
        });
    }

    UniqueFd listener_;
    std::thread thread_;
};

void say(int connection, ByteView bytes) {
    (void)!::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

/// Until the client has gone.
void stay_silent(int connection) {
    std::uint8_t byte = 0;
    (void)!::recv(connection, &byte, 1, 0);
}

struct Outcome {
    TSS2_RC rc = TSS2_RC_SUCCESS;
    Bytes message = {};
    Clock::duration took = {};
};

Outcome ask(tpm::Transport& transport, Clock::duration limit = 10s) {
    const auto begun = Clock::now();
    Outcome out{.rc = transport.send(startup, begun + limit)};
    if (out.rc == TSS2_RC_SUCCESS) {
        Bytes room(tpm::largest_message);
        const auto received = transport.receive(room, begun + limit);
        out.rc = received.rc;
        if (out.rc == TSS2_RC_SUCCESS)
            out.message.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(received.size));
    }
    out.took = Clock::now() - begun;
    return out;
}

/// What comes of a command at a server on a UNIX socket.
Outcome dealt_with(Server::Deal deal, Clock::duration limit = 10s) {
    const TempFolder folder;
    const auto path = (folder.path() / "socket").string();
    const Server server(path, std::move(deal));
    const auto transport = tpm::open_transport("swtpm:path=" + path);
    return ask(*transport, limit);
}

} // namespace

TEST_CASE("swtpm's socket is spoken to over a path and over a host and port, command after command") {
    const auto answer = [](int connection) { say(connection, startup_reply); };
    const TempFolder folder;
    const auto path = (folder.path() / "socket").string();
    const Server local(path, answer), remote(answer);
    const auto port = std::to_string(remote.port);
    for (const auto& conf : {"swtpm:path=" + path, "swtpm:host=127.0.0.1,port=" + port,
                             "swtpm:port=" + port + ",host=localhost", "swtpm:port=" + port}) {
        const auto transport = tpm::open_transport(conf);
        for (int i = 0; i < 3; ++i) {
            const auto outcome = ask(*transport);
            CHECK(outcome.rc == TSS2_RC_SUCCESS);
            CHECK(outcome.message == startup_reply);
        }
    }
}

TEST_CASE("only swtpm's own way to name a socket is understood") {
    for (const char* conf : {"swtpm", "swtpm:", "swtpm:path=/x", "swtpm:host=h", "swtpm:host=h,port=1"})
        CHECK(tpm::parse_swtpm(conf).has_value());
    for (const char* conf : {"", "swtp", "swtpms", "swtpm-x:path=/x", "mssim", "device:/dev/tpmrm0",
                             "swtpm:path", "swtpm:path=", "swtpm:=x", "swtpm:other=x", "swtpm:path=/x,y"})
        CHECK_FALSE(tpm::parse_swtpm(conf).has_value());
}

TEST_CASE("where nobody listens is no TPM") {
    const TempFolder folder;
    const auto open = [](const std::string& conf) { return refusal([&] { tpm::open_transport(conf); }); };
    CHECK(open("swtpm:path=" + (folder.path() / "absent").string()) == Errc::not_found);
    int port = 0;
    {
        const Server gone([](int) {});
        port = gone.port;
    }
    CHECK(open("swtpm:host=127.0.0.1,port=" + std::to_string(port)) == Errc::not_found);
    CHECK(open("no-such-tcti") == Errc::not_found);
}

TEST_CASE("a server that says more and more and never all costs the deadline and no more") {
    const auto outcome = dealt_with(
        [](int connection) {
            say(connection, Bytes{0x80, 0x01, 0, 0, 0x10, 0});
            // Each byte comes before the wait for it would be over by itself.
            for (int i = 0; i < 1000; ++i) {
                const std::uint8_t byte = 0;
                if (::send(connection, &byte, 1, MSG_NOSIGNAL) != 1)
                    return;
                std::this_thread::sleep_for(10ms);
            }
        },
        100ms);
    CHECK(outcome.rc == TSS2_TCTI_RC_TRY_AGAIN);
    CHECK(outcome.took < 2s);
}

TEST_CASE("a reply that comes byte by byte is whole in the end") {
    const auto outcome = dealt_with([](int connection) {
        for (const auto byte : startup_reply) {
            say(connection, ByteView(&byte, 1));
            std::this_thread::sleep_for(1ms);
        }
    });
    CHECK(outcome.rc == TSS2_RC_SUCCESS);
    CHECK(outcome.message == startup_reply);
}

TEST_CASE("a server that closes before all is said costs nothing but the command") {
    for (const std::size_t said : {0U, 1U, 9U}) {
        const auto outcome =
            dealt_with([said](int connection) { say(connection, ByteView(startup_reply).first(said)); });
        CHECK(outcome.rc == TSS2_TCTI_RC_NO_CONNECTION);
        CHECK(outcome.took < 2s);
    }
}

TEST_CASE("a size that no reply has is malformed, before anything is read for it") {
    for (const Bytes& size :
         {Bytes{0, 0, 0, 0}, Bytes{0, 0, 0, 9}, Bytes{0, 0, 0x10, 1}, Bytes{0xFF, 0xFF, 0xFF, 0xFF}}) {
        auto lie = startup_reply;
        std::copy(size.begin(), size.end(), lie.begin() + 2);
        const auto outcome = dealt_with([&lie](int connection) {
            say(connection, lie);
            stay_silent(connection);
        });
        CHECK(outcome.rc == TSS2_TCTI_RC_MALFORMED_RESPONSE);
        CHECK(outcome.took < 2s);
    }
}

TEST_CASE("a TCTI that has no descriptors to poll is waited for all the same") {
    const Swtpm swtpm;
    const TctiLog log(swtpm.tcti());
    const auto outcome = ask(*tpm::open_transport(log.tcti()));
    REQUIRE(outcome.rc == TSS2_RC_SUCCESS);
    CHECK(tpm::header_of(outcome.message).code == 0x100); // it has been started
    REQUIRE(swtpm.loaded_handles() == 0);
}

TEST_CASE("signals do not end the wait for a reply") {
    struct sigaction before = {}, counting = {};
    static std::atomic<int> signals;
    signals = 0;
    counting.sa_handler = [](int) { ++signals; };
    REQUIRE(::sigaction(SIGUSR1, &counting, &before) == 0); // without SA_RESTART
    const Swtpm swtpm;
    const TctiLog log(swtpm.tcti());
    const TempFolder folder;
    const auto path = (folder.path() / "socket").string();
    const Server slow(path, [](int connection) {
        std::this_thread::sleep_for(100ms);
        say(connection, startup_reply);
    });
    for (const auto& conf : {log.tcti(), "swtpm:path=" + path}) {
        const auto transport = tpm::open_transport(conf);
        log.fail({"* slow 100"});
        std::atomic<bool> done = false;
        std::thread shooter([&done, target = ::pthread_self()] {
            while (!done) {
                ::pthread_kill(target, SIGUSR1);
                std::this_thread::sleep_for(100us);
            }
        });
        const auto outcome = ask(*transport);
        done = true;
        shooter.join();
        CHECK(outcome.rc == TSS2_RC_SUCCESS);
        CHECK(outcome.took >= 100ms);
    }
    CHECK(signals > 10);
    ::sigaction(SIGUSR1, &before, nullptr);
    REQUIRE(swtpm.loaded_handles() == 0);
}
