// SPDX-License-Identifier: MIT
#include "agent/listener.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "base/time_limits.hpp"
#include "os/paths.hpp"
#include "os/process.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sshtpm::agent {

namespace fs = std::filesystem;

namespace {

UniqueFd unix_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        throw Error::from_errno(errno, "the agent's socket");
    return fd;
}

/// An attempt to connect, without waiting.
struct Probe {
    UniqueFd socket;
    int failure = 0; ///< 0 if it has connected, else an errno: ECONNREFUSED if no process listens
};

Probe probe(const sockaddr_un& address) {
    Probe out{.socket = unix_socket()};
    if (::connect(out.socket.value(), os::generic(address), sizeof address) != 0)
        out.failure = errno;
    return out;
}

void remove_stale(const fs::path& path, const sockaddr_un& address) {
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0)
        return;
    if (!S_ISSOCK(status.st_mode))
        throw Error(Errc::exists, path.string() + ": exists and is not a socket",
                    "choose another path with -a");
    const auto [socket, failure] = probe(address);
    if (failure != 0 && failure != ECONNREFUSED && failure != EAGAIN) // another type, or no permission
        throw Error::from_errno(failure, path.string());
    if (failure != ECONNREFUSED) {
        // With EAGAIN, its backlog is full, and the system does not tell its process.
        const auto pid = failure == 0 ? os::peer_of(socket.value()).pid : 0;
        const auto process = os::name_of_process(pid) ? ": " + os::describe_process(pid, 0) : std::string();
        throw Error(Errc::exists, path.string() + ": an agent listens here already" + process,
                    "`export SSH_AUTH_SOCK=" + shell_word(path.native()) +
                        "` uses it; or choose another path with -a");
    }
    if (::unlink(path.c_str()) != 0)
        throw Error::from_errno(errno, path.string());
}

/// Removes the sockets that killed agents of commands have left. The folder must be locked, because the
/// socket of an agent that is starting refuses connections too.
void sweep_command_sockets(const fs::path& folder) {
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure); !failure && entry != fs::directory_iterator();
         entry.increment(failure)) {
        const auto& path = entry->path();
        struct stat status = {};
        if (!os::is_command_socket(path.filename().native()) ||
            path.native().size() >= sizeof sockaddr_un::sun_path || ::lstat(path.c_str(), &status) != 0 ||
            !S_ISSOCK(status.st_mode) || status.st_uid != ::geteuid())
            continue;
        if (probe(os::unix_address(path.native())).failure == ECONNREFUSED && ::unlink(path.c_str()) == 0)
            log::debug("removed ", printable(path.string()), ", the socket of a killed agent");
    }
}

/// Locks the folder while a stale socket is checked, removed and replaced. Of two agents that start at the
/// same time, the second then finds the first one listening.
UniqueFd lock_folder_of(const fs::path& socket) {
    const auto folder = socket.parent_path();
    auto lock = naming(socket.string(), [&] { return lock_folder(folder, time_limits().socket_folder); });
    if (!lock)
        throw Error(Errc::exists, folder.string() + ": another process has locked this folder",
                    "`lslocks` tells which; or choose a socket in a folder of your own with -a");
    return lock;
}

/// @returns nothing for a peer that is not served
std::optional<os::Peer> peer_to_serve(Socket& socket) {
    try { // caught so that other clients are served
        const auto peer = os::peer_of(socket.native_handle());
        if (os::may_use_agent(peer))
            return peer;
        log::error("refused user ", peer.uid, " (process ", peer.pid, ")");
    } catch (const Error& error) {
        log::error(error.what());
    }
    return std::nullopt;
}

} // namespace

ListeningSocket::ListeningSocket(fs::path path, bool sweep) {
    if (path.empty())
        throw Error(Errc::usage, "an empty path for the socket"); // absolute() would throw another error
    path_ = fs::absolute(path);
    const auto address = os::unix_address(path_.native());
    make_folders(path_.parent_path(), 0700);
    const auto lock = lock_folder_of(path_);
    remove_stale(path_, address);
    if (sweep)
        sweep_command_sockets(path_.parent_path());
    fd_ = unix_socket();
    const auto before = ::umask(0177); // the file has mode 0600 from the start
    const int bound = ::bind(fd_.value(), os::generic(address), sizeof address);
    const int reason = errno;
    ::umask(before);
    if (bound != 0)
        throw Error::from_errno(reason, path_.string());
    struct stat status = {};
    if (::lstat(path_.c_str(), &status) != 0 || ::listen(fd_.value(), SOMAXCONN) != 0)
        throw Error::from_errno(errno, path_.string());
    device_ = status.st_dev;
    inode_ = status.st_ino;
    ours_ = true;
}

ListeningSocket::ListeningSocket(UniqueFd passed)
    : path_(os::bound_name(passed.value())), fd_(std::move(passed)) {}

void ListeningSocket::remove() noexcept {
    struct stat status = {};
    // Only once: later another file may have the same number.
    if (std::exchange(ours_, false) && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
        status.st_ino == inode_)
        unlink_path(path_);
}

ListeningSocket::~ListeningSocket() {
    remove();
}

void turn_away_clients(int listening) noexcept {
    while (UniqueFd(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)) || errno == ECONNABORTED) {
    }
}

asio::awaitable<void> accept_clients(UniqueFd listening, Semaphore permits, NewClient client) {
    constexpr std::chrono::milliseconds pause{100};
    const auto loop = co_await asio::this_coro::executor;
    asio::local::stream_protocol::acceptor acceptor(loop, asio::local::stream_protocol(),
                                                    listening.release());
    // Without this option, Asio skips a connection that the client has closed again, and waits for a new
    // client although others are in the backlog.
    acceptor.set_option(asio::socket_base::enable_connection_aborted(true));
    for (bool told = false;;) {
        auto permit = co_await permits.acquire();
        ErrorCode failure;
        auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
        if (failure == asio::error::operation_aborted)
            co_return;
        if (failure == asio::error::connection_aborted) // the client has closed it again
            continue;
        if (failure) { // no descriptors or no memory: there is no event to wait for
            if (!std::exchange(told, true))
                log::error("accepting a client: ", failure.message());
            co_await asio::steady_timer(loop, pause).async_wait(asio::use_awaitable);
            continue;
        }
        told = false;
        if (const auto peer = peer_to_serve(socket))
            client(std::move(socket), *peer, std::move(permit));
    }
}

} // namespace sshtpm::agent
