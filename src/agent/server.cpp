#include "agent/server.hpp"

#include "agent/announcer.hpp"
#include "agent/connection.hpp"
#include "agent/hierarchy_keys.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/time_limits.hpp"
#include "os/folder_watch.hpp"
#include "os/harden.hpp"
#include "os/resources.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sshtpm::agent {

namespace asio = boost::asio;

namespace {

/// For spawned coroutines: whatever they have not caught ends the loop and so the agent.
void rethrow(const std::exception_ptr& failure) {
    if (failure)
        std::rethrow_exception(failure);
}

/// For Asio, which closes what it is given.
UniqueFd duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy)
        throw Error::from_errno(errno, "the agent's descriptors");
    return copy;
}

std::vector<std::shared_ptr<Upstream>> upstreams(asio::io_context& loop, const ServerOptions& options) {
    std::vector<std::shared_ptr<Upstream>> out;
    for (const auto& path : options.upstreams)
        out.push_back(std::make_shared<Upstream>(loop.get_executor(), path));
    return out;
}

std::optional<KeyFolder> key_folder(const ServerOptions& options) {
    if (options.key_dir.empty())
        return std::nullopt;
    return KeyFolder(options.key_dir, options.key_dir_terms);
}

/// One descriptor a client, but for a few that the agent needs for itself: to reach the TPM, to ask a person.
/// With agents behind this one, each client may need one more for each of them.
Turns client_turns(asio::io_context& loop, std::size_t upstreams) {
    constexpr std::size_t own = 6;
    const auto free = os::free_descriptors();
    return {loop.get_executor(), free > own + upstreams ? (free - own) / (1 + upstreams) : 1};
}

/// Null, with a line in the log, when the system has no more watches to give: SIGHUP does it by hand then.
std::unique_ptr<os::FolderWatch> watch(const std::filesystem::path& folder) {
    if (folder.empty())
        return nullptr;
    try {
        return std::make_unique<os::FolderWatch>(folder);
    } catch (const Error& error) {
        log::error(printable(error.what()), "; changes in ", printable(folder.string()),
                   " are seen after SIGHUP alone");
        return nullptr;
    }
}

/// Waits until a descriptor that others own is readable.
asio::awaitable<bool> readable(asio::posix::stream_descriptor& descriptor) {
    boost::system::error_code failure;
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                   asio::redirect_error(asio::use_awaitable, failure));
    co_return !failure;
}

asio::awaitable<void> follow_folder(std::unique_ptr<os::FolderWatch> folder, State& state) {
    asio::posix::stream_descriptor events(co_await asio::this_coro::executor,
                                          duplicate(folder->fd()).release());
    while (co_await readable(events)) {
        try { // caught because the agent serves on without it
            if (folder->drain())
                state.scan_folder();
        } catch (const Error& error) {
            log::error(printable(error.what()), "; the key folder is no longer watched");
            co_return;
        }
    }
}

asio::awaitable<void> stop_when_readable(asio::io_context& loop, UniqueFd descriptor) {
    asio::posix::stream_descriptor end(loop, descriptor.release());
    if (co_await readable(end))
        loop.stop();
}

/// The terminal that this process is to end with. Empty where it has none, as under systemd and in the
/// background, and where nohup(1) has it ignore SIGHUP.
UniqueFd terminal_to_end_with() {
    if (os::was_ignored_at_start(SIGHUP))
        return {};
    return UniqueFd(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
}

/// Ends the agent when its terminal hangs up: nobody can be asked there any more, and the shell that knew of
/// the agent is gone. SIGHUP does not tell: a shell that ends sends none to its jobs in the background, and a
/// person sends it to have the key folder read.
asio::awaitable<void> stop_at_hang_up(asio::io_context& loop, UniqueFd terminal) {
    asio::posix::stream_descriptor descriptor(loop, terminal.release());
    boost::system::error_code failure;
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_error,
                                   asio::redirect_error(asio::use_awaitable, failure));
    if (failure)
        co_return;
    log::info("the terminal has hung up; ending");
    loop.stop();
}

asio::awaitable<void> follow_signals(asio::io_context& loop, asio::signal_set& signals, State& state) {
    for (;;) {
        const int number = co_await signals.async_wait(asio::use_awaitable);
        if (number == SIGHUP) {
            log::info("SIGHUP: reading the key folder again");
            state.reload_folder();
        } else if (number == SIGUSR1) {
            log::info("SIGUSR1: dropping all keys and PINs");
            state.remove_all();
        } else {
            log::info("ending on signal ", number);
            loop.stop(); // what is pending is dropped with the loop
            co_return;
        }
    }
}

/// Takes back the questions, so that the terminal echoes again and no askpass is left.
void end_requests(asio::io_context& loop, State& state) {
    constexpr int most_steps = 10'000; // clients go on asking
    state.keys.end_uses();
    loop.restart();
    for (int step = 0; step < most_steps && loop.poll_one() > 0; ++step) {
    }
}

/// A second signal ends the process at once, from now on; but not SIGHUP, which a shell that ends and the
/// kernel may both send.
void end(ListeningSocket& socket, TpmLane& lane, asio::signal_set& signals) {
    for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGALRM})
        signals.remove(number);
    if (lane.end_within(time_limits().end))
        return;
    log::error("the TPM does not answer; ending without it");
    socket.remove();
    std::_Exit(0);
}

} // namespace

void run_server(ListeningSocket& socket, const ServerOptions& options, const std::function<void()>& ready) {
    os::raise_descriptor_limit();
    os::return_large_buffers();
    asio::io_context loop(1);
    auto terminal = terminal_to_end_with(); // before SIGHUP has a handler: a hang-up ends this until then
    asio::signal_set signals(loop, SIGTERM, SIGHUP, SIGUSR1);
    signals.add(SIGALRM); // without a handler it would end the agent with the terminal's echo off
    for (const int number : {SIGINT, SIGQUIT})
        if (!os::was_ignored_at_start(number)) // a shell without job control ignores both for "&"
            signals.add(number);
    TpmLane lane(loop.get_executor(), options.target, options.owner_password);
    LaneService tpm(lane);
    auto watched = watch(options.key_dir); // before the folder is read: no change goes unseen
    State state(loop.get_executor(), key_folder(options), options.pin_lifetime);
    state.scan_folder();
    Announcer announcer(loop.get_executor(), options.notifier, state.keys);
    const auto dispatcher = std::make_shared<Dispatcher>(loop.get_executor(), state, tpm, options.policy,
                                                         upstreams(loop, options));

    const auto spawn_client = [&loop, dispatcher](asio::local::stream_protocol::socket client, os::Peer peer,
                                                  Turn turn) {
        asio::co_spawn(loop, serve(std::move(client), peer, std::move(turn), dispatcher), rethrow);
    };
    asio::co_spawn(loop, follow_signals(loop, signals, state), rethrow);
    if (terminal)
        asio::co_spawn(loop, stop_at_hang_up(loop, std::move(terminal)), rethrow);
    if (watched)
        asio::co_spawn(loop, follow_folder(std::move(watched), state), rethrow);
    asio::co_spawn(loop, announcer.feed_watchdog(), rethrow);
    if (options.until >= 0)
        asio::co_spawn(loop, stop_when_readable(loop, duplicate(options.until)), rethrow);
    const auto serve_clients = [&] {
        asio::co_spawn(loop,
                       accept_clients(duplicate(socket.fd()), client_turns(loop, options.upstreams.size()),
                                      spawn_client),
                       rethrow);
        asio::post(loop, [&] { // behind the beginnings of all these
            log::info("listening on ", printable(socket.path().string()));
            ready();
            announcer.ready();
        });
    };
    asio::co_spawn(loop, keep_hierarchy_keys(lane, options, state), [&](const std::exception_ptr& failure) {
        rethrow(failure);
        serve_clients(); // whoever asks before finds all keys there
    });
    loop.run();
    announcer.stopping();
    end_requests(loop, state);
    end(socket, lane, signals);
}

} // namespace sshtpm::agent
