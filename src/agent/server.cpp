#include "agent/server.hpp"

#include "agent/connection.hpp"
#include "agent/listener.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "identity/key_dir.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds end_limit{5};

KeyStore load_keys(const std::filesystem::path& key_dir) {
    if (key_dir.empty())
        return KeyStore({});
    auto identities = identity::load_key_dir(key_dir);
    log::info(identities.size(), identities.size() == 1 ? " key" : " keys", " from ",
              printable(key_dir.string()));
    return KeyStore(std::move(identities));
}

/// For spawned coroutines: whatever they have not caught ends the loop and so the agent.
void rethrow(const std::exception_ptr& failure) {
    if (failure)
        std::rethrow_exception(failure);
}

UniqueFd duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy)
        throw Error::from_errno(errno, "the agent's socket");
    return copy;
}

} // namespace

void run_server(const ServerOptions& options, const std::function<void()>& listening) {
    // The socket first: it tells a second agent off before that touches the TPM. Clients that connect from
    // here on wait in its backlog. It goes last, after the lane has given everything back.
    ListeningSocket socket(options.socket);
    asio::io_context loop(1);
    asio::signal_set signals(loop, SIGTERM, SIGINT);
    TpmLane lane(loop.get_executor(), options.target, options.owner_password);
    auto keys = load_keys(options.key_dir);
    const auto dispatcher = std::make_shared<Dispatcher>(keys, lane);

    const auto spawn_client = [&loop, dispatcher](asio::local::stream_protocol::socket client) {
        asio::co_spawn(loop, serve(std::move(client), dispatcher), rethrow);
    };
    asio::co_spawn(loop, accept_clients(duplicate(socket.fd()), spawn_client), rethrow);
    signals.async_wait([&loop](const boost::system::error_code& failure, int number) {
        if (failure)
            return;
        log::debug("ends on signal ", number);
        loop.stop(); // what is pending is dropped with the loop
    });
    log::info("listening on ", printable(socket.path().string()));
    listening();
    loop.run();

    signals.clear(); // a second signal ends the process at once
    if (lane.end_within(end_limit))
        return;
    log::error("the TPM does not answer; ending without it");
    socket.remove();
    std::_Exit(0);
}

} // namespace sshtpm::agent
