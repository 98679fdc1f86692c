#include "os/notify.hpp"

#include "os/environment.hpp"
#include "os/unix_socket.hpp"
#include "support/test.hpp"
#include "support/variable.hpp"

#include <array>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace sshtpm;
using namespace support;
using namespace std::chrono_literals;

namespace {

/// The service manager's end: a datagram socket that keeps what it is told.
class Manager {
  public:
    explicit Manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const auto address = os::parse_notify_socket(name);
        REQUIRE(address.has_value());
        REQUIRE(::bind(socket_.value(), os::generic(address->address), address->size) == 0);
    }

    /// The next message; "" when there is none.
    std::string take() const {
        std::array<char, 512> buffer{};
        const auto got = ::recv(socket_.value(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        return got < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(got));
    }

  private:
    UniqueFd socket_;
};

std::string own_pid() {
    return std::to_string(::getpid());
}

void speak(const std::string& name) {
    const Manager manager(name);
    const Variable variable("NOTIFY_SOCKET", name.c_str());
    const auto notifier = os::Notifier::from_environment();
    REQUIRE(notifier);
    notifier.ready("Serving 2 keys");
    CHECK(manager.take() == "READY=1\nSTATUS=Serving 2 keys");
    notifier.status("Serving 1 key");
    CHECK(manager.take() == "STATUS=Serving 1 key");
    notifier.feed_watchdog();
    CHECK(manager.take() == "WATCHDOG=1");
    notifier.stopping();
    CHECK(manager.take() == "STOPPING=1\nSTATUS=Ending");
    CHECK(manager.take().empty());
}

} // namespace

TEST_CASE("a service manager hears each message, in a datagram of its own") {
    const TempFolder folder;
    speak((folder / "notify").string());
}

TEST_CASE("an abstract socket is written with an @") {
    speak("@ssh-tpm-test-notify-" + own_pid());
}

TEST_CASE("the variables are gone afterwards: no child speaks in this process's name") {
    const TempFolder folder;
    const Manager manager((folder / "notify").string());
    const Variable socket("NOTIFY_SOCKET", (folder / "notify").c_str());
    const Variable interval("WATCHDOG_USEC", "2000000");
    const Variable process("WATCHDOG_PID", own_pid().c_str());
    const auto notifier = os::Notifier::from_environment();
    CHECK(notifier.watchdog() == 2s);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
        CHECK_FALSE(os::variable(name));
    CHECK_FALSE(os::Notifier::from_environment());
}

TEST_CASE("without a socket nobody is told, and no watchdog is fed") {
    const Variable interval("WATCHDOG_USEC", "2000000");
    const os::Notifier silent;
    for (const char* name : {"", "notify", "@", "/", "vsock:2:1234"}) {
        INFO(name);
        const Variable socket("NOTIFY_SOCKET", name);
        const auto notifier = os::Notifier::from_environment();
        CHECK_FALSE(notifier);
        CHECK_FALSE(notifier.watchdog());
        notifier.ready("nobody hears this");
    }
    CHECK_FALSE(silent);
}

TEST_CASE("a manager that is not there, or does not read, costs nothing but the message") {
    const TempFolder folder;
    const auto path = (folder / "notify").string();
    const Variable absent("NOTIFY_SOCKET", path.c_str());
    const auto notifier = os::Notifier::from_environment();
    notifier.ready("nobody there");
    const Manager deaf(path);
    for (int i = 0; i < 10'000; ++i) // far more than a socket's queue holds
        notifier.feed_watchdog();
    CHECK(deaf.take() == "WATCHDOG=1");
}

TEST_CASE("the longest name of a socket is taken, and a longer one is not") {
    for (const char first : {'/', '@'}) {
        const auto longest = std::string(1, first) + std::string(106, 'n');
        CHECK(os::parse_notify_socket(longest).has_value());
        CHECK_FALSE(os::parse_notify_socket(longest + "n"));
    }
}

TEST_CASE("the watchdog's interval is a number above 0, for this process") {
    CHECK(os::parse_watchdog("1", std::nullopt) == 1us);
    CHECK(os::parse_watchdog("30000000", own_pid()) == 30s);
    for (const char* interval : {"", "0", "-1", "1s", " 1", "1 ", "0x10", "99999999999999999999"}) {
        INFO(interval);
        CHECK_FALSE(os::parse_watchdog(interval, std::nullopt));
    }
    for (const char* process : {"1", "", "0", "-1", "x"}) {
        INFO(process);
        CHECK_FALSE(os::parse_watchdog("30000000", std::string(process)));
    }
}
