#include "agent/listener.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "os/peer.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

sockaddr_un address_of(const fs::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto& name = path.native();
    if (name.size() >= sizeof address.sun_path)
        throw Error(Errc::usage, path.string() + ": longer than a socket's path may be (107 bytes)");
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

/// connect(2) and bind(2) take the address of any family through this one type.
const sockaddr* generic(const sockaddr_un& address) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

UniqueFd unix_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        throw Error::from_errno(errno, "the agent's socket");
    return fd;
}

void remove_stale(const fs::path& path, const sockaddr_un& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0)
        return;
    if (!S_ISSOCK(status.st_mode))
        throw Error(Errc::exists, path.string() + ": exists and is not a socket",
                    "choose another path with -a");
    const auto probe = unix_socket();
    if (::connect(probe.value(), generic(address), sizeof address) == 0 || errno == EAGAIN)
        throw Error(Errc::exists, path.string() + ": an agent listens here already",
                    "use it (SSH_AUTH_SOCK=" + path.string() + "), or choose another path with -a");
    if (::unlink(path.c_str()) != 0)
        throw Error::from_errno(errno, path.string());
}

void make_parent(const fs::path& path) {
    const auto folder = path.parent_path();
    if (folder.empty() || fs::exists(folder))
        return;
    make_parent(folder);
    make_folder(folder, 0700);
}

bool out_of_descriptors(const boost::system::error_code& failure) {
    return failure == asio::error::no_descriptors ||
           failure == boost::system::errc::too_many_files_open_in_system ||
           failure == asio::error::no_buffer_space || failure == asio::error::no_memory;
}

} // namespace

ListeningSocket::ListeningSocket(fs::path path) : path_(fs::absolute(std::move(path))) {
    const auto address = address_of(path_);
    make_parent(path_);
    remove_stale(path_, address);
    fd_ = unix_socket();
    const auto before = ::umask(0177); // the file is 0600 from its first moment
    const int bound = ::bind(fd_.value(), generic(address), sizeof address);
    const int reason = errno;
    ::umask(before);
    if (bound != 0)
        throw Error::from_errno(reason, path_.string());
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0 || ::listen(fd_.value(), SOMAXCONN) != 0)
        throw Error::from_errno(errno, path_.string());
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

ListeningSocket::~ListeningSocket() {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
        ::unlink(path_.c_str());
}

asio::awaitable<void> accept_clients(UniqueFd listening,
                                     std::function<void(asio::local::stream_protocol::socket)> client) {
    constexpr std::chrono::milliseconds pause{100};
    const auto loop = co_await asio::this_coro::executor;
    asio::local::stream_protocol::acceptor acceptor(loop, asio::local::stream_protocol(),
                                                    listening.release());
    for (;;) {
        boost::system::error_code failure;
        auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
        if (failure == asio::error::operation_aborted)
            co_return;
        if (failure) {
            log::error("accepting a client: ", failure.message());
            if (out_of_descriptors(failure))
                co_await asio::steady_timer(loop, pause).async_wait(asio::use_awaitable);
            continue;
        }
        const auto peer = os::peer_of(socket.native_handle());
        if (os::may_use_agent(peer))
            client(std::move(socket));
        else
            log::error("refused user ", peer.uid, " (process ", peer.pid, ")");
    }
}

} // namespace sshtpm::agent
